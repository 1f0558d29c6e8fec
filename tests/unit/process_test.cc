#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/process.h>
#include <ramie/timeout.h>
#include <ramie/wait.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(Pipe, CarriesBytesAndTheirEnd) {
  auto [reader, writer] = make_pipe();
  std::string text(300'000, 'x');
  fiber<void> writing = spawn([&text, to = std::move(writer)]() mutable { to.write_all(text); });
  EXPECT_EQ(reader.read_all(), text);
  writing.get();
}

TEST(Pipe, WithoutAReaderThereIsAnErrorAndNoSignal) {
  auto [reader, writer] = make_pipe();
  reader.close();
  try {
    writer.write_all("x");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::broken_pipe);
  }
  sigset_t pending;
  sigpending(&pending);
  EXPECT_EQ(sigismember(&pending, SIGPIPE), 0);
}

TEST(Pipe, AReadEndsWithItsTimeAndWithAClose) {
  auto ends = make_pipe();
  auto& reader = ends.first;
  char byte;
  EXPECT_THROW(with_timeout(2ms, [&] { (void)reader.read_some({&byte, 1}); }), timeout_error);
  fiber<void> waiter = spawn([&] {
    try {
      (void)reader.read_some({&byte, 1});
      ADD_FAILURE() << "it was read";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
    }
  });
  yield();
  reader.close();
  waiter.join();
}

TEST(Process, TellsHowItsChildEnded) {
  process three({"sh", "-c", "exit 3"});
  exit_status status = three.wait();
  EXPECT_EQ(status.code, 3);
  EXPECT_FALSE(status.success());
  EXPECT_EQ(three.wait().code, 3);
  process killed({"sleep", "1000"});
  EXPECT_EQ(killed.poll(), std::nullopt);
  killed.kill();
  EXPECT_EQ(killed.wait().signal, SIGTERM);
  killed.kill();
  EXPECT_TRUE(process({"true"}).wait().success());
}

TEST(Process, OtherFibersRunWhileOneWaits) {
  auto [reader, writer] = make_pipe();
  process child({"cat"}, {.in = process_io::pipe});
  bool ended = false;
  fiber<void> waiter = spawn([&] {
    (void)child.wait();
    ended = true;
  });
  for (int i = 0; i < 10; ++i) {
    yield();
    EXPECT_FALSE(ended);
  }
  child.in().close();
  waiter.get();
}

TEST(Process, WaitForGivesUp) {
  process child({"cat"}, {.in = process_io::pipe});
  EXPECT_EQ(child.wait_for(2ms), std::nullopt);
  child.in().close();
  EXPECT_TRUE(child.wait_for(1h).value().success());
}

TEST(Process, ExchangesDataThroughPipes) {
  process child({"cat"}, {.in = process_io::pipe, .out = process_io::pipe});
  child.in().write_all("ping");
  char buffer[16];
  std::size_t size = child.out().read_some(buffer);
  EXPECT_EQ(std::string(buffer, size), "ping");
  std::string large(500'000, 'y');
  process::output rest = child.communicate(large);
  EXPECT_EQ(rest.out, large);
  EXPECT_TRUE(rest.status.success());
}

TEST(Process, PlacesTheDescriptors) {
  process::output both = run({"sh", "-c", "echo to out; echo to err >&2"});
  EXPECT_EQ(both.out, "to out\n");
  EXPECT_EQ(both.err, "to err\n");
  EXPECT_EQ(run({"sh", "-c", "echo a; echo b >&2"}, {}, {.err = process_io::to_out}).out, "a\nb\n");
  process quiet({"sh", "-c", "cat && echo x && echo y >&2"},
                {.in = process_io::null, .out = process_io::null, .err = process_io::null});
  EXPECT_TRUE(quiet.wait().success());
}

TEST(Process, SetsEnvironmentAndDirectory) {
  process::output told =
      run({"sh", "-c", "echo $WORD; pwd"}, {},
          {.environment = std::vector<std::string>{"WORD=given", "PATH=/bin:/usr/bin"},
           .directory = "/"});
  EXPECT_EQ(told.out, "given\n/\n");
}

TEST(Process, SaysWhichProgramIsMissing) {
  try {
    process({"no-such-program-anywhere"});
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::no_such_file_or_directory);
    EXPECT_NE(std::string(error.what()).find("no-such-program-anywhere"), std::string::npos);
  }
}

TEST(Process, AChildThatReadsNothingIsNoError) {
  EXPECT_TRUE(run({"true"}, std::string(1'000'000, 'z')).status.success());
}

TEST(Process, ATimeoutAroundRunKillsTheChild) {
  timeout limit(50ms);
  EXPECT_THROW((void)run({"sh", "-c", "exec sleep 1000"}), timeout_error);
}

TEST(Process, CanBeWaitedForAmongOthers) {
  process slow({"cat"}, {.in = process_io::pipe});
  process quick({"true"});
  event never_set;
  EXPECT_EQ(wait_any(never_set, slow, quick), 2U);
  slow.in().close();
  wait_all(slow, quick);
  EXPECT_TRUE(slow.poll().has_value());
}

TEST(Process, ADroppedOneIsReapedInTheBackground) {
  pid_t pid = 0;
  {
    process child({"cat"}, {.in = process_io::pipe});
    pid = child.pid();
  }
  // Its input is closed, so it ends; a zombie would still be there for kill().
  EXPECT_TRUE(eventually([&] { return ::kill(pid, 0) < 0 && errno == ESRCH; }));
}

TEST(Process, WorksOnAKernelThread) {
  std::thread([] { EXPECT_EQ(run({"cat"}, "data").out, "data"); }).join();
}

TEST(Process, ManyAtOnce) {
  group work;
  for (int i = 0; i < 20; ++i) {
    work.spawn([i] {
      std::string text = std::to_string(i);
      EXPECT_EQ(run({"cat"}, text).out, text);
    });
  }
}

}  // namespace
}  // namespace ramie::test

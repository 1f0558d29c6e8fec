// RAMIE_BLOCKED: what is said of a fiber that does not let the others of its thread run.
#include <fcntl.h>
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <sys/file.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/code_symbol.h"
#include "base/memory_map.h"
#include "core/call_chain.h"
#include "core/code_sample.h"
#include "core/thread_activity.h"
#include "support/child_output.h"

namespace {

// What `work` gets said in a process of its own with RAMIE_BLOCKED=action.
std::string run(const char* action, const std::function<void()>& work) {
  ramie::test::ChildOutput output = ramie::test::run_in_child([&] {
    setenv("RAMIE_BLOCKED", action, 1);
    work();
  });
  EXPECT_EQ(output.status, 0) << output.text;
  return output.text;
}

// So long that the observer sees it, however busy the machine is.
constexpr timespec kLong = {0, 500'000'000};

void block() { nanosleep(&kLong, nullptr); }

// By processor time, which a busy machine does not shorten.
void compute() {
  timespec begin;
  timespec now;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &begin);
  do {
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &now);
  } while ((now.tv_sec - begin.tv_sec) * 1'000'000'000 + now.tv_nsec - begin.tv_nsec <
           kLong.tv_nsec);
}

// `work` on a fiber while another one waits for its turn.
void run_beside_another(void (*work)()) {
  auto waiting = ramie::spawn([] { ramie::yield(); });
  ramie::fiber_attributes options;
  options.name = "culprit";
  auto culprit = ramie::spawn(options, work);
  culprit.join();
  waiting.join();
}

bool says(const std::string& text, const char* part) {
  return text.find(part) != std::string::npos;
}

TEST(Blocked, AFiberInACallOfTheKernelIsReportedWithCallAndStack) {
  std::string text = run("report", [] { run_beside_another(block); });
  EXPECT_TRUE(says(text, "(culprit) has let no other run for ")) << text;
  EXPECT_TRUE(says(text, "in clock_nanosleep; behind it: 1 fiber\n")) << text;
  EXPECT_TRUE(says(text, "ramie:   at libc.so.6+0x")) << text;
  EXPECT_TRUE(says(text, "ramie:   from blocked_test+0x")) << text;
}

TEST(Blocked, AFiberThatComputesIsReportedAndItsEndToo) {
  std::string text = run("report", [] {
    run_beside_another(compute);
    // The observer has to see the next fiber before the process ends.
    run_beside_another(block);
  });
  EXPECT_TRUE(says(text, "(culprit) has let no other run for ")) << text;
  EXPECT_TRUE(says(text, " ms, computing; behind it: 1 fiber\n")) << text;
  EXPECT_TRUE(says(text, " has let others run again after ")) << text;
}

// `work` while a kernel thread waits before it does what ends it.
void until_ended(const std::function<void()>& work, const std::function<void()>& end) {
  std::thread ender([&] {
    nanosleep(&kLong, nullptr);
    end();
  });
  work();
  ender.join();
}

void read_by_number() {
  int ends[2];
  ASSERT_EQ(pipe(ends), 0);
  char byte;
  until_ended([&] { EXPECT_EQ(syscall(SYS_read, ends[0], &byte, 1), 1); },
              [&] { EXPECT_EQ(write(ends[1], "x", 1), 1); });
}

void lock_file() {
  char path[] = "/tmp/blockedXXXXXX";
  const int first = mkstemp(path);
  const int second = open(path, O_RDWR | O_CLOEXEC);
  unlink(path);
  ASSERT_EQ(flock(first, LOCK_EX), 0);
  until_ended([&] { EXPECT_EQ(flock(second, LOCK_EX), 0); },
              [&] { EXPECT_EQ(flock(first, LOCK_UN), 0); });
}

void wait_for_child() {
  const pid_t child = fork();
  if (child == 0) {
    nanosleep(&kLong, nullptr);
    _exit(0);
  }
  EXPECT_EQ(waitpid(child, nullptr, 0), child);
}

// Of libc, which another kernel thread holds.
void lock_mutex() {
  std::mutex held;
  std::atomic<bool> is_held = false;
  std::thread holder([&] {
    std::lock_guard guard(held);
    is_held = true;
    is_held.notify_one();
    nanosleep(&kLong, nullptr);
  });
  is_held.wait(false);
  std::lock_guard guard(held);
  holder.join();
}

TEST(Blocked, WhatAFiberWaitsForIsNamed) {
  struct {
    void (*work)();
    const char* said;
  } const kBlockers[] = {
      {read_by_number, "in read; behind it: 1 fiber\n"},
      {lock_file, "in flock; behind it: 1 fiber\n"},
      {wait_for_child, "in wait4; behind it: 1 fiber\n"},
      {lock_mutex, "in futex; behind it: 1 fiber\n"},
  };
  for (const auto& blocker : kBlockers) {
    std::string text = run("report", [&] {
      setenv("RAMIE_SLICE", "200", 1);  // what comes before may take its time on a busy machine
      run_beside_another(blocker.work);
    });
    EXPECT_TRUE(says(text, "(culprit) has let no other run for ")) << text;
    EXPECT_TRUE(says(text, blocker.said)) << text;
    EXPECT_TRUE(says(text, "ramie:   from blocked_test+0x")) << text;
  }
}

TEST(Blocked, NothingIsSaidWithoutOtherFibersOrWithoutTheVariable) {
  auto work = [] {
    // What comes before `block` may take long on a busy machine, and the observer would be right.
    setenv("RAMIE_SLICE", "400", 1);
    ramie::spawn(block).join();
  };
  EXPECT_EQ(run("report", work), "");
  EXPECT_EQ(run("off", [] { run_beside_another(block); }), "");
}

[[gnu::noinline]] void spin(std::atomic<bool>& stop) {
  while (!stop.load()) {
  }
}

// Needs a map of its own: it is large.
ramie::base::MemoryMap& map() {
  static ramie::base::MemoryMap the_map;
  the_map.read();
  return the_map;
}

// A kernel thread that runs `work`, and its id from its beginning on.
class KnownThread {
 public:
  explicit KnownThread(const std::function<void()>& work)
      : thread_([this, work] {
          tid_ = static_cast<int>(syscall(SYS_gettid));
          work();
        }) {
    while (tid_ == 0) {
      std::this_thread::yield();
    }
  }

  [[nodiscard]] int tid() const { return tid_; }
  void join() { thread_.join(); }

 private:
  std::atomic<int> tid_ = 0;
  std::thread thread_;
};

TEST(Blocked, AComputingThreadSaysWhereItIs) {
  std::atomic<bool> stop = false;
  KnownThread spinner([&] { spin(stop); });
  uintptr_t pc = 0;
  uintptr_t sp = 0;
  while (!ramie::core::sample_code(spinner.tid(), pc, sp)) {
  }
  // Under a sanitizer it may be in what that calls for the loop; the loop's callers stay.
  ramie::core::CallChain callers = ramie::core::find_callers(map(), pc, sp);
  stop = true;
  spinner.join();
  const auto* program = map().find(reinterpret_cast<uintptr_t>(&spin));
  ASSERT_NE(program, nullptr);
  EXPECT_EQ(map().name(*program), "blocked_test");
  EXPECT_TRUE(std::any_of(callers.frames, callers.frames + callers.count,
                          [&](uintptr_t frame) { return map().find(frame) == program; }));
}

// Under ThreadSanitizer nearly all of that is code of its own, under its locks.
TEST(Blocked, AThreadIsSampledWhereverItIs) {
  std::atomic<bool> stop = false;
  KnownThread churner([&] {
    while (!stop.load()) {
      auto mutex = std::make_unique<std::mutex>();
      std::lock_guard guard(*mutex);
    }
  });
  uintptr_t pc = 0;
  uintptr_t sp = 0;
  for (int samples = 0; samples < 300;) {
    samples += ramie::core::sample_code(churner.tid(), pc, sp) ? 1 : 0;
  }
  stop = true;
  churner.join();
}

TEST(Blocked, AThreadInACallIsSeenThere) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  KnownThread reader([&] {
    char byte;
    EXPECT_EQ(read(fds[0], &byte, 1), 1);
  });
  ramie::core::Activity seen;
  do {
    seen = ramie::core::activity_of(reader.tid());
  } while (seen.call != SYS_read);
  ramie::core::CallChain callers = ramie::core::find_callers(map(), seen.pc, seen.sp);
  EXPECT_EQ(write(fds[1], "x", 1), 1);
  reader.join();
  ASSERT_GT(callers.count, 1U);
  EXPECT_EQ(map().name(*map().find(callers.frames[0])), "libc.so.6");
}

TEST(Blocked, ExportedFunctionsHaveNames) {
  auto address = reinterpret_cast<uintptr_t>(&::getenv) + 1;
  const auto* region = map().find(address);
  ASSERT_NE(region, nullptr);
  ramie::base::CodeSymbol symbol = ramie::base::find_code_symbol(region->object, address);
  EXPECT_STREQ(symbol.name, "getenv");
  EXPECT_EQ(symbol.offset, 1U);
  EXPECT_EQ(map().find(reinterpret_cast<uintptr_t>(&address)), nullptr);
}

}  // namespace

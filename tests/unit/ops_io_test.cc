// read, write and their forms on pipes, sockets, eventfds, terminals, FIFOs and files.
#include <limits.h>
#include <pty.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <termios.h>

#include <thread>

#include "ops_calls.h"

using namespace ramie;
using namespace ramie::test;

namespace {

class OpsIo : public OpsTest {};

// The same for pipes and sockets.
class OpsStream : public OpsTest, public testing::WithParamInterface<bool> {
 protected:
  static Pair make() { return GetParam() ? Pair::sockets() : Pair::pipe(); }
};

TEST_P(OpsStream, ReadOfWhatIsThereDoesNotPark) {
  Pair pair = make();
  ASSERT_EQ(::write(pair.out, "hello", 5), 5);
  uint64_t before = parks();
  char buffer[100];
  EXPECT_EQ(call(ops::read, pair.in, buffer, sizeof buffer), 5);
  EXPECT_EQ(parks(), before);
}

TEST_P(OpsStream, ReadParksUntilAnotherFiberWrites) {
  Pair pair = make();
  std::string order;
  fibers.spawn([&] {
    char buffer[100];
    uint64_t before = parks();
    order += "r";
    EXPECT_EQ(call(ops::read, pair.in, buffer, sizeof buffer), 5);
    EXPECT_GT(parks(), before);
    order += "R";
  });
  fibers.spawn([&] {
    order += "w";
    EXPECT_EQ(call(ops::write, pair.out, "hello", 5), 5);
  });
  fibers.join();
  EXPECT_EQ(order, "rwR");
}

TEST_P(OpsStream, ReadEndsAtEndOfFile) {
  Pair pair = make();
  fibers.spawn([&] {
    char byte;
    EXPECT_EQ(call(ops::read, pair.in, &byte, 1), 0);
  });
  fibers.spawn([&] { pair.close_out(); });
  fibers.join();
}

TEST_P(OpsStream, ReadOfNothingReturnsAtOnce) {
  Pair pair = make();
  char byte;
  EXPECT_EQ(call(ops::read, pair.in, &byte, 0), 0);
}

TEST_P(OpsStream, LongWriteIsWholeThoughTheReaderIsSlow) {
  Pair pair = make();
  std::string sent = text(3'000'000);
  std::string received;
  fibers.spawn([&] {
    uint64_t before = parks();
    EXPECT_EQ(call(ops::write, pair.out, sent.data(), sent.size()), word(sent.size()));
    EXPECT_GT(parks(), before);
  });
  fibers.spawn([&] { received = drain(pair.in, sent.size()); });
  fibers.join();
  EXPECT_EQ(received, sent);
}

TEST_P(OpsStream, LongWritevIsWhole) {
  Pair pair = make();
  std::string sent = text(600'000);
  std::vector<iovec> list;
  for (size_t at = 0; at < sent.size(); at += 1000) {
    list.push_back({sent.data() + at, 1000});
    list.push_back({nullptr, 0});
  }
  list.resize(1000);
  std::string received;
  fibers.spawn([&] { EXPECT_EQ(call(ops::writev, pair.out, list.data(), list.size()), 500'000); });
  fibers.spawn([&] { received = drain(pair.in, 500'000); });
  fibers.join();
  EXPECT_EQ(received, sent.substr(0, 500'000));
}

TEST_P(OpsStream, ReadvParks) {
  Pair pair = make();
  bool has_read = false;
  fibers.spawn([&] {
    char a[2];
    char b[10];
    iovec list[2] = {{a, sizeof a}, {b, sizeof b}};
    EXPECT_EQ(call(ops::readv, pair.in, list, 2), 5);
    EXPECT_EQ(std::string(a, 2) + std::string(b, 3), "hello");
    has_read = true;
    EXPECT_EQ(call(ops::preadv2, pair.in, list, 2, -1, 0, 0), 5);
  });
  fibers.spawn([&] {
    EXPECT_EQ(call(ops::write, pair.out, "hello", 5), 5);
    while (!has_read) {
      core::yield();
    }
    EXPECT_EQ(call(ops::write, pair.out, "again", 5), 5);
  });
  fibers.join();
}

TEST_P(OpsStream, WhatTheProgramMadeNonBlockingStaysSo) {
  Pair pair = make();
  fcntl(pair.in, F_SETFL, flags_of(pair.in) | O_NONBLOCK);
  fcntl(pair.out, F_SETFL, flags_of(pair.out) | O_NONBLOCK);
  char byte;
  EXPECT_EQ(call(ops::read, pair.in, &byte, 1), -EAGAIN);
  std::string sent = text(3'000'000);
  long written = call(ops::write, pair.out, sent.data(), sent.size());
  EXPECT_GT(written, 0);
  EXPECT_LT(written, word(sent.size()));
  EXPECT_EQ(call(ops::write, pair.out, sent.data(), sent.size()), -EAGAIN);
  fcntl(pair.in, F_SETFL, flags_of(pair.in) & ~O_NONBLOCK);
  fcntl(pair.out, F_SETFL, flags_of(pair.out) & ~O_NONBLOCK);
}

TEST_P(OpsStream, WriteWithoutAReaderIsABrokenPipeAndASignal) {
  static int signals;
  signals = 0;
  signal(SIGPIPE, [](int) { ++signals; });
  Pair pair = make();
  pair.close_in();
  EXPECT_EQ(call(ops::write, pair.out, "x", 1), -EPIPE);
  EXPECT_EQ(signals, 1);
  signal(SIGPIPE, SIG_DFL);
}

TEST_P(OpsStream, CloseByAnotherFiberEndsTheRead) {
  Pair pair = make();
  fibers.spawn([&] {
    char byte;
    EXPECT_EQ(call(ops::read, pair.in, &byte, 1), -EBADF);
  });
  fibers.spawn([&] { pair.close_in(); });
  fibers.join();
}

TEST_P(OpsStream, InterruptedReadIsRestartable) {
  Pair pair = make();
  core::Fiber* reader = nullptr;
  fibers.spawn([&] {
    reader = core::current();
    char byte;
    EXPECT_EQ(call(ops::read, pair.in, &byte, 1), sys::kRestart);
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*reader)); });
  fibers.join();
}

TEST_P(OpsStream, InterruptedWriteReturnsWhatItHasWritten) {
  Pair pair = make();
  std::string sent = text(3'000'000);
  core::Fiber* writer = nullptr;
  fibers.spawn([&] {
    writer = core::current();
    long written = call(ops::write, pair.out, sent.data(), sent.size());
    EXPECT_GT(written, 0);
    EXPECT_LT(written, word(sent.size()));
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*writer)); });
  fibers.join();
}

INSTANTIATE_TEST_SUITE_P(PipeAndSocket, OpsStream, testing::Bool(),
                         [](const auto& of) { return of.param ? "Socket" : "Pipe"; });

TEST_F(OpsIo, BadArgumentsGetTheKernelsAnswer) {
  char byte;
  EXPECT_EQ(call(ops::read, -1, &byte, 1), -EBADF);
  EXPECT_EQ(call(ops::write, 9999, &byte, 1), -EBADF);
  Pair pair = Pair::pipe();
  EXPECT_EQ(call(ops::read, pair.out, &byte, 1), -EBADF);
  EXPECT_EQ(call(ops::readv, pair.in, 0, -1), -EINVAL);
  EXPECT_EQ(call(ops::readv, pair.in, 0, 0), 0);
  ASSERT_EQ(::write(pair.out, "x", 1), 1);
  EXPECT_EQ(call(ops::read, pair.in, 1L, 1), -EFAULT);
}

TEST_F(OpsIo, TimeOutOfASocketEndsAReadWithAgain) {
  Pair pair = Pair::sockets();
  timeval timeout = {0, 20'000};
  setsockopt(pair.in, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof timeout);
  int64_t start = base::now();
  char byte;
  EXPECT_EQ(call(ops::read, pair.in, &byte, 1), -EAGAIN);
  EXPECT_GE(base::now() - start, 20'000'000);
}

TEST_F(OpsIo, RegularFileIsReadInFull) {
  FILE* file = tmpfile();
  int fd = fileno(file);
  std::string sent = text(1'000'000);
  EXPECT_EQ(call(ops::write, fd, sent.data(), sent.size()), word(sent.size()));
  lseek(fd, 0, SEEK_SET);
  posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
  std::string received(sent.size() + 1, '\0');
  EXPECT_EQ(call(ops::read, fd, received.data(), received.size()), word(sent.size()));
  EXPECT_EQ(received.substr(0, sent.size()), sent);
  fclose(file);
}

TEST_F(OpsIo, HintOfANumberThatMeansSomethingElseNowIsCorrected) {
  Pair pipes = Pair::pipe();
  int fds[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
  ASSERT_EQ(::write(fds[1], "1", 1), 1);
  char byte;
  ASSERT_EQ(call(ops::read, fds[0], &byte, 1), 1);
  ASSERT_EQ(::dup2(pipes.in, fds[0]), fds[0]);  // unseen
  ASSERT_EQ(::write(pipes.out, "2", 1), 1);
  EXPECT_EQ(call(ops::read, fds[0], &byte, 1), 1);
  EXPECT_EQ(byte, '2');
  call(ops::close, fds[0]);
  call(ops::close, fds[1]);
}

TEST_F(OpsIo, EventfdParksInBothDirections) {
  int fd = eventfd(0, EFD_CLOEXEC);
  fibers.spawn([&] {
    uint64_t value;
    EXPECT_EQ(call(ops::read, fd, &value, sizeof value), 8);
    EXPECT_EQ(value, ~0UL - 1);
    uint64_t before = parks();
    EXPECT_EQ(call(ops::read, fd, &value, sizeof value), 8);
    EXPECT_EQ(value, 7U);
    EXPECT_GE(parks(), before);
  });
  fibers.spawn([&] {
    uint64_t most = ~0UL - 1;
    EXPECT_EQ(call(ops::write, fd, &most, sizeof most), 8);
    uint64_t seven = 7;
    EXPECT_EQ(call(ops::write, fd, &seven, sizeof seven), 8);  // no room until the reader has run
  });
  fibers.join();
  call(ops::close, fd);
}

TEST_F(OpsIo, TimerfdParks) {
  int fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC);
  itimerspec when = {{}, {0, 10'000'000}};
  timerfd_settime(fd, 0, &when, nullptr);
  uint64_t before = parks();
  uint64_t expirations = 0;
  EXPECT_EQ(call(ops::read, fd, &expirations, sizeof expirations), 8);
  EXPECT_EQ(expirations, 1U);
  EXPECT_GT(parks(), before);
  call(ops::close, fd);
}

TEST_F(OpsIo, FifoIsWrittenAndReadInPieces) {
  std::string path = testing::TempDir() + "ramie_ops_fifo_" + std::to_string(getpid());
  ASSERT_EQ(mkfifo(path.c_str(), 0600), 0);
  int in = open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  int out = open(path.c_str(), O_WRONLY | O_CLOEXEC);
  fcntl(in, F_SETFL, 0);
  unlink(path.c_str());
  Pair pair(in, out);
  std::string sent = text(500'000);
  std::string received;
  fibers.spawn(
      [&] { EXPECT_EQ(call(ops::write, pair.out, sent.data(), sent.size()), word(sent.size())); });
  fibers.spawn([&] { received = drain(pair.in, sent.size()); });
  fibers.join();
  EXPECT_EQ(received, sent);
}

TEST_F(OpsIo, TerminalParksInBothDirections) {
  int master = -1;
  int slave = -1;
  ASSERT_EQ(openpty(&master, &slave, nullptr, nullptr, nullptr), 0);
  termios raw;
  tcgetattr(slave, &raw);
  cfmakeraw(&raw);
  tcsetattr(slave, TCSANOW, &raw);
  Pair pair(master, slave);
  std::string sent = text(100'000);
  std::string received;
  fibers.spawn([&] { received = drain(pair.in, sent.size()); });
  fibers.spawn(
      [&] { EXPECT_EQ(call(ops::write, pair.out, sent.data(), sent.size()), word(sent.size())); });
  fibers.join();
  EXPECT_EQ(received, sent);
}

TEST_F(OpsIo, SpliceWaitsForItsSource) {
  Pair from = Pair::pipe();
  Pair to = Pair::pipe();
  fibers.spawn([&] { EXPECT_EQ(call(ops::splice, from.in, 0, to.out, 0, 100, 0), 5); });
  fibers.spawn([&] { EXPECT_EQ(call(ops::write, from.out, "hello", 5), 5); });
  fibers.join();
  char buffer[10];
  EXPECT_EQ(call(ops::read, to.in, buffer, sizeof buffer), 5);
}

}  // namespace

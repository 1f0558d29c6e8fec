#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <system_error>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Crew>
class Io : public ::testing::Test {
 protected:
  void SetUp() override { ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0); }
  void TearDown() override {
    crew.join();
    for (int fd : ends) {
      if (fd >= 0) {
        io::notify_close(fd);
        close(fd);
      }
    }
  }
  void send_byte() { ASSERT_EQ(::send(ends[1], "x", 1, 0), 1); }
  void receive_byte() {
    char c;
    ASSERT_EQ(::recv(ends[0], &c, 1, MSG_DONTWAIT), 1);
  }
  // Fills the socket until a write would block.
  void fill() {
    char block[4096] = {};
    while (::send(ends[0], block, sizeof block, MSG_DONTWAIT) > 0) {
    }
  }

  int ends[2] = {-1, -1};
  Crew crew;
};
TYPED_TEST_SUITE(Io, Kinds);

TYPED_TEST(Io, WaitsUntilThereIsSomethingToRead) {
  std::atomic<bool> ready = false;
  this->crew.start([&] {
    EXPECT_EQ(io::wait(this->ends[0], io::readable), io::readable);
    ready = true;
  });
  for (int i = 0; i < 10; ++i) {
    yield();
  }
  EXPECT_FALSE(ready);
  this->send_byte();
  EXPECT_TRUE(eventually([&] { return ready.load(); }));
}

TYPED_TEST(Io, WhatIsNotReadIsReportedAgain) {
  this->crew.start([this] {
    this->send_byte();
    this->send_byte();
    EXPECT_EQ(io::wait(this->ends[0], io::readable), io::readable);
    EXPECT_EQ(io::wait(this->ends[0], io::readable), io::readable);
    this->receive_byte();
    EXPECT_EQ(io::wait(this->ends[0], io::readable), io::readable);
    this->receive_byte();
    EXPECT_EQ(io::wait(this->ends[0], io::readable, 5ms), io::none);
  });
}

TYPED_TEST(Io, TellsReadableFromWritable) {
  this->crew.start([this] {
    constexpr auto kBoth = io::readable | io::writable;
    EXPECT_EQ(io::wait(this->ends[0], kBoth), io::writable);
    this->send_byte();
    EXPECT_EQ(io::wait(this->ends[0], kBoth), kBoth);
    this->fill();
    EXPECT_EQ(io::wait(this->ends[0], kBoth), io::readable);
    EXPECT_EQ(io::wait(this->ends[0], io::writable, 5ms), io::none);
  });
}

TYPED_TEST(Io, ATimeOutIsNotShorterThanAskedFor) {
  this->crew.start([this] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(io::wait(this->ends[0], io::readable, 20ms), io::none);
    EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
    EXPECT_EQ(io::wait(this->ends[0], io::readable, 0ms), io::none);
    EXPECT_EQ(io::wait(this->ends[0], io::readable, -1ms), io::none);
  });
}

TYPED_TEST(Io, TheOtherSidesCloseIsReadable) {
  this->crew.start([this] { EXPECT_EQ(io::wait(this->ends[0], io::readable), io::readable); });
  yield();
  io::notify_close(this->ends[1]);
  close(std::exchange(this->ends[1], -1));
}

TYPED_TEST(Io, AClosedDescriptorThrows) {
  this->crew.start([this] {
    int fd = std::exchange(this->ends[0], -1);
    io::notify_close(fd);
    close(fd);
    try {
      (void)io::wait(fd, io::readable);
      ADD_FAILURE() << "nothing was thrown";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
    }
  });
}

TYPED_TEST(Io, ARegularFileIsAlwaysReady) {
  this->crew.start([] {
    FILE* file = tmpfile();
    EXPECT_EQ(io::wait(fileno(file), io::readable | io::writable), io::readable | io::writable);
    fclose(file);
  });
}

TEST(IoFibers, ACloseInTheMiddleEndsTheWait) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  fiber<void> waiter =
      spawn([&] { EXPECT_THROW((void)io::wait(ends[0], io::readable), std::system_error); });
  yield();
  io::notify_close(ends[0]);
  close(ends[0]);
  waiter.get();
  close(ends[1]);
}

TEST(IoFibers, OthersRunMeanwhile) {
  int fd = eventfd(0, EFD_NONBLOCK);
  int ticks = 0;
  fiber<void> waiter = spawn([&] { (void)io::wait(fd, io::readable); });
  fiber<void> ticker = spawn([&] {
    for (; ticks < 5; ++ticks) {
      sleep_for(1ms);
    }
    eventfd_write(fd, 1);
  });
  waiter.get();
  EXPECT_EQ(ticks, 5);
  ticker.get();
  io::notify_close(fd);
  close(fd);
}

TEST(IoFibers, ManyDescriptorsAtOnce) {
  constexpr int kPairs = 200;
  int ends[kPairs][2];
  std::vector<fiber<int>> readers;
  for (int i = 0; i < kPairs; ++i) {
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends[i]), 0);
    readers.push_back(spawn([fd = ends[i][0]] {
      int sum = 0;
      char c = 0;
      for (;;) {
        ssize_t n = ::recv(fd, &c, 1, MSG_DONTWAIT);
        if (n == 0) {
          return sum;
        }
        if (n < 0) {
          (void)io::wait(fd, io::readable);
        } else {
          sum += c;
        }
      }
    }));
  }
  fiber<void> writer = spawn([&] {
    for (char round = 1; round <= 3; ++round) {
      for (auto& pair : ends) {
        ASSERT_EQ(::send(pair[1], &round, 1, 0), 1);
      }
      sleep_for(1ms);
    }
    for (auto& pair : ends) {
      shutdown(pair[1], SHUT_WR);
    }
  });
  writer.get();
  for (int i = 0; i < kPairs; ++i) {
    EXPECT_EQ(readers[i].get(), 6);
    io::notify_close(ends[i][0]);
    close(ends[i][0]);
    close(ends[i][1]);
  }
}

}  // namespace
}  // namespace ramie::test

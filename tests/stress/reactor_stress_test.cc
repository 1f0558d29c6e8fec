#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <thread>
#include <vector>

#include "event/reactor.h"
#include "support/descriptor_pair.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::base::now;
using ramie::event::wait_fd;
using Pair = ramie::test::DescriptorPair;
using ramie::test::FiberGroup;
using ramie::test::read_some;
using ramie::test::write_all;

namespace {

// Each pair of fibers passes tokens and blocks both ways; a lost event would stop one for good.
TEST(ReactorStress, ManyPairsTalkWithoutLosingAnEvent) {
  constexpr int kPairs = 200;
  constexpr int kRounds = 50;
  FiberGroup fibers;
  std::vector<Pair> pairs;
  int finished = 0;
  for (int i = 0; i < kPairs; ++i) {
    pairs.push_back(Pair::sockets());
  }
  for (Pair& pair : pairs) {
    fibers.spawn([&] {
      for (int i = 0; i < kRounds; ++i) {
        char token = static_cast<char>(i);
        ASSERT_TRUE(write_all(pair.a, &token, 1));
        ASSERT_EQ(read_some(pair.a, &token, 1), 1);
        ASSERT_EQ(token, static_cast<char>(i + 1));
      }
      ++finished;
    });
    fibers.spawn([&] {
      for (int i = 0; i < kRounds; ++i) {
        char token;
        ASSERT_EQ(read_some(pair.b, &token, 1), 1);
        ++token;
        ASSERT_TRUE(write_all(pair.b, &token, 1));
      }
    });
  }
  fibers.join();
  EXPECT_EQ(finished, kPairs);
  for (Pair& pair : pairs) {
    pair.close();
  }
}

// Small buffers, many readers and writers on the same descriptors.
TEST(ReactorStress, SharedPipesUnderPressureDeliverEveryByte) {
  constexpr size_t kBytes = 1 << 20;
  constexpr int kEach = 4;
  Pair pipe = Pair::pipe();
  (void)fcntl(pipe.b, F_SETPIPE_SZ, 4096);
  FiberGroup fibers;
  size_t received = 0;
  int writing = kEach;
  for (int i = 0; i < kEach; ++i) {
    fibers.spawn([&] {
      std::vector<char> data(kBytes / kEach, 'x');
      ASSERT_TRUE(write_all(pipe.b, data.data(), data.size()));
      if (--writing == 0) {
        ramie::event::forget(pipe.b);  // a poller may hold on to it
        ::close(pipe.b);
        pipe.b = -1;
      }
    });
    fibers.spawn([&] {
      std::array<char, 1000> data;
      ssize_t n;
      while ((n = read_some(pipe.a, data.data(), data.size())) > 0) {
        received += static_cast<size_t>(n);
      }
      EXPECT_EQ(n, 0);
    });
  }
  fibers.join();
  EXPECT_EQ(received, kBytes);
  pipe.close();
}

// Events from another kernel thread come at any moment: before the wait, in it, at its time-out.
TEST(ReactorStress, AnotherThreadsEventsAreNotLost) {
  constexpr int kRounds = 3000;
  Pair there = Pair::pipe();
  Pair back = Pair::pipe();
  (void)fcntl(back.a, F_SETFL, 0);
  std::thread peer([&] {
    char c;
    for (int i = 0; i < kRounds && read(back.a, &c, 1) == 1; ++i) {
      (void)!write(there.b, "x", 1);
    }
  });
  FiberGroup fibers;
  int rounds = 0;
  fibers.spawn([&] {
    for (; rounds < kRounds; ++rounds) {
      ASSERT_EQ(write(back.b, "x", 1), 1);
      char c;
      while (read(there.a, &c, 1) != 1) {
        long result = wait_fd(there.a, POLLIN, Deadline::after(now(), rounds % 7 * 10'000));
        ASSERT_TRUE(result == 0 || result == -ETIMEDOUT);
      }
    }
  });
  fibers.join();
  EXPECT_EQ(rounds, kRounds);
  ::close(back.b);
  back.b = -1;
  peer.join();
  there.close();
  back.close();
}

}  // namespace

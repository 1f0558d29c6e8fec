#include <fcntl.h>
#include <gtest/gtest.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <thread>
#include <vector>

#include "core/carrier.h"
#include "core/crew.h"
#include "core/park.h"
#include "event/reactor.h"
#include "support/descriptor_pair.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::base::now;
using ramie::event::wait_fd;
using Pair = ramie::test::DescriptorPair;
using ramie::test::FiberGroup;
using ramie::test::in_millis;
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

// One thread gets an event, and computes.  Another one, which may have been called in order to
// watch for further events, is woken for something else, and computes.  The third waits for an
// event, and must be told of it.
class ThreeThreads {
 public:
  ThreeThreads() {
    for (int i = 0; i < 3; ++i) {
      threads_.emplace_back([this, i] { run(i); });
    }
  }
  ~ThreeThreads() {
    stops_ = true;
    begin_round();
    for (std::thread& thread : threads_) {
      thread.join();
    }
    for (Pair& pipe : pipes_) {
      pipe.close();
    }
  }

  // Whether the third one is told of its event.
  bool play(int round) {
    first_ = round % 3;
    begin_round();
    EXPECT_TRUE(until([&] { return waiting_ == 3; }));
    for (const Carrier* carrier : carriers_) {
      EXPECT_TRUE(until([&] { return carrier->sleeping != ramie::core::kAwake; }));
    }
    EXPECT_EQ(write(pipes_[0].b, "x", 1), 1);
    EXPECT_TRUE(until([&] { return computing_ == 1; }));
    EXPECT_TRUE(ramie::core::unpark(ticket_));
    EXPECT_TRUE(until([&] { return computing_ == 2; }));
    EXPECT_EQ(write(pipes_[1].b, "x", 1), 1);
    bool told = until([&] { return told_.load(); });
    told_ = true;
    return told;
  }

 private:
  using Carrier = ramie::core::Carrier;

  template <class Condition>
  static bool until(Condition condition) {
    for (Deadline end = in_millis(10'000); !condition();) {
      if (end.passed(now())) {
        return false;
      }
      std::this_thread::yield();
    }
    return true;
  }

  void begin_round() {
    EXPECT_TRUE(until([&] { return ready_ == 3; }));
    ready_ = waiting_ = computing_ = 0;
    told_ = false;
    ++round_;
  }

  void run(int i) {
    carriers_[static_cast<size_t>(i)] = &ramie::core::attach();
    for (int round = 1;; ++round) {
      ++ready_;
      while (round_ < round) {
        std::this_thread::yield();
      }
      if (stops_) {
        return;
      }
      take_part((i + first_) % 3);
    }
  }

  void take_part(int role) {
    // As if it had just looked for events: it doesn't so before it runs what it finds.
    ramie::core::current()->carrier->last_poll = now() + ramie::base::kNanosPerSecond;
    char token;
    if (role == 2) {
      ticket_ = ramie::core::prepare_park();
      ++waiting_;
      EXPECT_EQ(ramie::core::park({}), ramie::core::Wake::unparked);
    } else {
      ++waiting_;
      EXPECT_EQ(read_some(pipes_[static_cast<size_t>(role)].a, &token, 1), 1);
    }
    if (role == 1) {
      told_ = true;
      return;
    }
    ++computing_;
    while (!told_) {
      std::this_thread::yield();
    }
  }

  std::array<Pair, 2> pipes_ = {Pair::pipe(), Pair::pipe()};
  std::array<Carrier*, 3> carriers_ = {};
  ramie::core::Ticket ticket_;
  std::atomic<int> round_ = 0, ready_ = 0, waiting_ = 0, computing_ = 0;
  std::atomic<bool> told_ = false, stops_ = false;
  int first_ = 0;
  std::vector<std::thread> threads_;
};

TEST(ReactorStress, WhoIsCalledToWatchAndHasSomethingElseToDoCallsTheNext) {
  ThreeThreads threads;
  for (int round = 0; round < 500; ++round) {
    ASSERT_TRUE(threads.play(round)) << "nobody watches for events, round " << round;
  }
}

}  // namespace

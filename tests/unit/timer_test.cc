#include "core/timer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <random>
#include <thread>
#include <vector>

namespace ramie::core {
namespace {

using base::Deadline;

// The heap doesn't look into tickets, so the number in one tells which timer fired.
Ticket ticket(uint64_t number) { return {nullptr, number}; }

TEST(TimerHeap, WithoutTimersNothingIsEverDue) {
  TimerHeap heap;
  Ticket fired;
  EXPECT_TRUE(heap.next().is_never());
  EXPECT_FALSE(heap.take_due(INT64_MAX, fired));
}

TEST(TimerHeap, ATimerIsDueAtItsTimeAndNotBefore) {
  TimerHeap heap;
  Timer timer;
  Ticket fired;
  heap.set(timer, ticket(7), Deadline::at(100));
  EXPECT_EQ(heap.next(), Deadline::at(100));
  EXPECT_FALSE(heap.take_due(99, fired));
  ASSERT_TRUE(heap.take_due(100, fired));
  EXPECT_EQ(fired.epoch, 7U);
  EXPECT_TRUE(heap.next().is_never());
}

TEST(TimerHeap, ACancelledTimerDoesNotFire) {
  TimerHeap heap;
  Timer a, b;
  Ticket fired;
  TimerHeap::cancel(a);  // never set: no effect
  heap.set(a, ticket(1), Deadline::at(10));
  heap.set(b, ticket(2), Deadline::at(20));
  TimerHeap::cancel(a);
  TimerHeap::cancel(a);
  ASSERT_TRUE(heap.take_due(1000, fired));
  EXPECT_EQ(fired.epoch, 2U);
  TimerHeap::cancel(b);  // has fired: no effect
  EXPECT_FALSE(heap.take_due(1000, fired));
}

TEST(TimerHeap, ATimerCanBeSetAgain) {
  TimerHeap heap;
  Timer timer;
  Ticket fired;
  for (uint64_t round = 1; round <= 3; ++round) {
    heap.set(timer, ticket(round), Deadline::at(static_cast<int64_t>(round)));
    ASSERT_TRUE(heap.take_due(10, fired));
    EXPECT_EQ(fired.epoch, round);
  }
}

TEST(TimerHeap, FiresInOrderWhateverIsSetAndCancelled) {
  unsigned seed = std::random_device()();
  RecordProperty("seed", std::to_string(seed));
  SCOPED_TRACE("seed " + std::to_string(seed));
  std::mt19937 random(seed);
  TimerHeap heap;
  std::vector<Timer> timers(2000);
  std::vector<int64_t> expected;
  for (size_t i = 0; i < timers.size(); ++i) {
    auto at = static_cast<int64_t>(random() % 500);
    heap.set(timers[i], ticket(static_cast<uint64_t>(at)), Deadline::at(at));
    if (random() % 3 == 0) {
      TimerHeap::cancel(timers[i]);
    } else {
      expected.push_back(at);
    }
  }
  std::sort(expected.begin(), expected.end());
  std::vector<int64_t> fired;
  for (Ticket one; heap.take_due(1000, one);) {
    fired.push_back(static_cast<int64_t>(one.epoch));
  }
  EXPECT_EQ(fired, expected);
}

TEST(TimerHeap, GrowsWithWhatIsSet) {
  TimerHeap heap;
  constexpr uint32_t kMany = 20'000;  // past the first growth by moving
  std::vector<Timer> timers(kMany);
  for (uint32_t i = 0; i < kMany; ++i) {
    heap.set(timers[i], ticket(i), Deadline::at(1 + i * 7919LL % kMany));
  }
  EXPECT_EQ(heap.size(), kMany);
  for (uint32_t i = 0; i < kMany; i += 2) {
    TimerHeap::cancel(timers[i]);
  }
  int64_t last = 0;
  Ticket fired;
  for (uint32_t left = kMany / 2; left > 0; --left) {
    int64_t now = heap.next().nanos;
    EXPECT_GT(now, last);
    last = now;
    ASSERT_TRUE(heap.take_due(now, fired));
    EXPECT_EQ(fired.epoch % 2, 1U);
  }
  EXPECT_EQ(heap.size(), 0U);
}

TEST(TimerHeap, ResetForgetsThem) {
  TimerHeap heap;
  Timer timer;
  heap.set(timer, ticket(1), Deadline::at(1));
  heap.reset();
  EXPECT_TRUE(heap.next().is_never());
  TimerHeap::cancel(timer);
  heap.set(timer, ticket(2), Deadline::at(2));
  EXPECT_EQ(heap.next(), Deadline::at(2));
}

TEST(TimerHeap, OthersMayCancelWhileTheOwnerFires) {
  TimerHeap heap;
  std::vector<Timer> timers(1000);
  for (size_t i = 0; i < timers.size(); ++i) {
    heap.set(timers[i], ticket(i), Deadline::at(static_cast<int64_t>(i)));
  }
  std::thread other([&] {
    for (size_t i = 0; i < timers.size(); i += 2) {
      TimerHeap::cancel(timers[i]);
    }
  });
  std::vector<bool> seen(timers.size());
  for (Ticket one; heap.take_due(1000, one);) {
    EXPECT_FALSE(seen[one.epoch]);
    seen[one.epoch] = true;
  }
  other.join();
  for (size_t i = 1; i < timers.size(); i += 2) {
    EXPECT_TRUE(seen[i]);
  }
}

}  // namespace
}  // namespace ramie::core

#include "sync/condition_variable.h"

#include <ramie/sync.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "crew.h"

namespace ramie::test {
namespace {

using std::chrono::milliseconds;

template <class Crew>
class ConditionVariable : public ::testing::Test {
 protected:
  void start_waiters(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      crew.start([this] {
        std::unique_lock lock(mutex);
        condition.wait(lock, [this] { return tickets > 0; });
        --tickets;
        ++served;
      });
    }
    ASSERT_TRUE(eventually([&] { return parked_on(&condition) == count; }));
  }

  void add_tickets(int count) {
    std::lock_guard guard(mutex);
    tickets += count;
  }

  ramie::mutex mutex;
  ramie::condition_variable condition;
  int tickets = 0;  // guarded by mutex
  std::atomic<unsigned> served = 0;
  Crew crew;
};
TYPED_TEST_SUITE(ConditionVariable, Crews);

TYPED_TEST(ConditionVariable, NotifyOneWakesOne) {
  this->start_waiters(3);
  for (unsigned i = 1; i <= 3; ++i) {
    this->add_tickets(1);
    this->condition.notify_one();
    ASSERT_TRUE(eventually([&] { return this->served == i; }));
    EXPECT_EQ(parked_on(&this->condition), 3 - i);
  }
}

TYPED_TEST(ConditionVariable, NotifyAllWakesAll) {
  this->start_waiters(5);
  this->add_tickets(5);
  this->condition.notify_all();
  EXPECT_TRUE(eventually([&] { return this->served == 5; }));
}

TYPED_TEST(ConditionVariable, ANotificationUnderTheMutexIsAsGood) {
  this->start_waiters(2);
  {
    std::lock_guard guard(this->mutex);
    this->tickets = 2;
    this->condition.notify_all();
  }
  EXPECT_TRUE(eventually([&] { return this->served == 2; }));
}

TYPED_TEST(ConditionVariable, TheMutexIsFreeDuringTheWaitAndHeldAfter) {
  std::atomic<bool> ended = false;
  this->crew.start([&] {
    std::unique_lock lock(this->mutex);
    this->condition.wait(lock);
    EXPECT_TRUE(lock.owns_lock());
    EXPECT_FALSE(this->mutex.try_lock());
    ended = true;
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&this->condition) == 1; }));
  ASSERT_TRUE(eventually([&] { return this->mutex.try_lock(); }));
  this->condition.notify_one();
  EXPECT_FALSE(ended);
  this->mutex.unlock();
  EXPECT_TRUE(eventually([&] { return ended.load(); }));
}

TYPED_TEST(ConditionVariable, ATimedWaitEndsAtItsTimeWithTheMutexHeld) {
  this->crew.start([&] {
    int64_t before = base::now();
    std::unique_lock lock(this->mutex);
    EXPECT_FALSE(this->condition.wait_for(lock, milliseconds(20), [] { return false; }));
    EXPECT_GE(base::now() - before, 20'000'000);
    EXPECT_FALSE(this->mutex.try_lock());
    EXPECT_EQ(this->condition.wait_until(lock, std::chrono::system_clock::now()),
              std::cv_status::timeout);
  });
  this->crew.join();
  EXPECT_EQ(parked_on(&this->condition), 0U);
  this->condition.notify_one();
}

TYPED_TEST(ConditionVariable, APredicateThatHoldsWaitsForNothing) {
  std::unique_lock lock(this->mutex);
  this->condition.wait(lock, [] { return true; });
  EXPECT_TRUE(this->condition.wait_for(lock, milliseconds(0), [] { return true; }));
}

// One slot, many producers and consumers: each hand-over needs the right one to be woken.
TYPED_TEST(ConditionVariable, ABoundedBufferLosesNothing) {
  constexpr int kPairs = 4;
  constexpr int kItems = 200;
  ramie::condition_variable not_full;
  ramie::condition_variable not_empty;
  bool full = false;
  int slot = 0;
  std::atomic<long> sum = 0;
  for (int pair = 0; pair < kPairs; ++pair) {
    this->crew.start([&] {
      for (int i = 1; i <= kItems; ++i) {
        std::unique_lock lock(this->mutex);
        not_full.wait(lock, [&] { return !full; });
        full = true;
        slot = i;
        not_empty.notify_one();
      }
    });
  }
  for (int pair = 0; pair < kPairs; ++pair) {
    this->crew.start([&] {
      for (int i = 0; i < kItems; ++i) {
        std::unique_lock lock(this->mutex);
        not_empty.wait(lock, [&] { return full; });
        full = false;
        sum += slot;
        not_full.notify_one();
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(sum, kPairs * kItems * (kItems + 1) / 2);
}

TYPED_TEST(ConditionVariable, TheRuntimesOwnWorksTheSameWay) {
  sync::Mutex inner_mutex;
  sync::ConditionVariable inner;
  bool ready = false;
  std::atomic<bool> seen = false;
  this->crew.start([&] {
    inner_mutex.lock();
    while (!ready) {
      inner.wait(inner_mutex);
    }
    EXPECT_FALSE(inner.wait_until(inner_mutex, in_ms(1)));
    inner_mutex.unlock();
    seen = true;
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&inner) == 1; }));
  inner_mutex.lock();
  ready = true;
  inner.notify_one();
  inner_mutex.unlock();
  EXPECT_TRUE(eventually([&] { return seen.load(); }));
}

}  // namespace
}  // namespace ramie::test

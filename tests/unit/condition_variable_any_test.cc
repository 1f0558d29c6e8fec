#include <ramie/cancel.h>
#include <ramie/condition_variable_any.h>
#include <ramie/fiber.h>
#include <ramie/shared_mutex.h>
#include <ramie/sync.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <shared_mutex>
#include <stop_token>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Crew>
class ConditionVariableAny : public ::testing::Test {
 protected:
  shared_mutex lock;
  condition_variable_any changed;
  Crew crew;
};
TYPED_TEST_SUITE(ConditionVariableAny, Crews);

TYPED_TEST(ConditionVariableAny, WakesWaitersWithAnyLock) {
  int value = 0;
  std::atomic<int> seen = 0;
  for (int i = 0; i < 4; ++i) {
    this->crew.start([&, shared = i % 2 == 0] {
      if (shared) {
        std::shared_lock reading(this->lock);
        this->changed.wait(reading, [&] { return value == 1; });
        EXPECT_EQ(value, 1);
      } else {
        std::unique_lock writing(this->lock);
        this->changed.wait(writing, [&] { return value == 1; });
        EXPECT_EQ(value, 1);
      }
      ++seen;
    });
  }
  yield();
  {
    std::lock_guard writing(this->lock);
    value = 1;
  }
  this->changed.notify_all();
  EXPECT_TRUE(eventually([&] { return seen == 4; }));
  this->crew.join();
}

TYPED_TEST(ConditionVariableAny, PassesOneNotificationToOneWaiterAtLeast) {
  int tokens = 0;
  std::atomic<int> taken = 0;
  for (int i = 0; i < 4; ++i) {
    this->crew.start([&] {
      std::unique_lock writing(this->lock);
      this->changed.wait(writing, [&] { return tokens > 0; });
      --tokens;
      ++taken;
    });
  }
  for (int i = 1; i <= 4; ++i) {
    {
      std::lock_guard writing(this->lock);
      ++tokens;
    }
    this->changed.notify_one();
    ASSERT_TRUE(eventually([&] { return taken == i; }));
  }
  this->crew.join();
}

TYPED_TEST(ConditionVariableAny, ATimedWaitEndsAtItsTimeWithTheLockHeld) {
  this->crew.start([&] {
    std::unique_lock writing(this->lock);
    auto before = std::chrono::steady_clock::now();
    while (this->changed.wait_for(writing, 10ms) != std::cv_status::timeout) {
    }
    EXPECT_FALSE(this->changed.wait_until(writing, before, [] { return false; }));
    EXPECT_GE(std::chrono::steady_clock::now() - before, 10ms);
    EXPECT_TRUE(writing.owns_lock());
  });
  this->crew.join();
  EXPECT_TRUE(this->lock.try_lock());
  this->lock.unlock();
}

TYPED_TEST(ConditionVariableAny, AStopEndsTheWait) {
  std::stop_source source;
  std::atomic<int> waiting = 0;
  std::atomic<int> ended = 0;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      std::unique_lock writing(this->lock);
      ++waiting;
      EXPECT_FALSE(this->changed.wait(writing, source.get_token(), [] { return false; }));
      EXPECT_TRUE(writing.owns_lock());
      ++ended;
    });
  }
  ASSERT_TRUE(eventually([&] { return waiting == 3; }));
  EXPECT_EQ(ended, 0);
  source.request_stop();
  EXPECT_TRUE(eventually([&] { return ended == 3; }));
  this->crew.join();
}

TYPED_TEST(ConditionVariableAny, AStopThatWasRequestedBeforeEndsItAtOnce) {
  std::stop_source source;
  source.request_stop();
  this->crew.start([&] {
    std::unique_lock writing(this->lock);
    EXPECT_FALSE(this->changed.wait(writing, source.get_token(), [] { return false; }));
    EXPECT_TRUE(this->changed.wait_for(writing, source.get_token(), 10min, [] { return true; }));
    EXPECT_FALSE(this->changed.wait_for(writing, std::stop_token(), 1ms, [] { return false; }));
  });
  this->crew.join();
}

TYPED_TEST(ConditionVariableAny, MayBeDestroyedOnceEverybodyIsNotified) {
  auto condition = std::make_unique<condition_variable_any>();
  ramie::mutex guard;
  int waiting = 0;
  bool ready = false;
  std::atomic<int> ended = 0;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      std::unique_lock held(guard);
      ++waiting;
      while (!ready) {
        condition->wait(held);
      }
      ++ended;
    });
  }
  ASSERT_TRUE(eventually([&] {
    std::lock_guard held(guard);
    return waiting == 3;
  }));
  {
    std::lock_guard held(guard);
    ready = true;
    condition->notify_all();
    condition.reset();
  }
  EXPECT_TRUE(eventually([&] { return ended == 3; }));
  this->crew.join();
}

// A cancellation while it locks again waits for the next wait: the lock is held when it returns.
TEST(ConditionVariableAnyCancelled, WhileItLocksAgainReturnsWithTheLockHeld) {
  ramie::mutex guard;
  condition_variable_any changed;
  bool ready = false;
  bool returned = false;
  fiber<void> waiter = spawn([&] {
    std::scoped_lock held(guard);
    changed.wait(guard, [&] { return ready; });
    returned = true;
    EXPECT_TRUE(this_fiber::interruption_requested());
    EXPECT_FALSE(guard.try_lock());
    EXPECT_THROW(this_fiber::interruption_point(), cancelled);
  });
  yield();
  guard.lock();
  ready = true;
  changed.notify_one();
  yield();
  EXPECT_EQ(parked_on(&guard), 1U);
  waiter.cancel();
  yield();
  EXPECT_FALSE(guard.try_lock());
  EXPECT_FALSE(returned);
  guard.unlock();
  waiter.get();
  EXPECT_TRUE(returned);
  EXPECT_TRUE(guard.try_lock());
  guard.unlock();
}

}  // namespace
}  // namespace ramie::test

// What every lock of the library does, whatever else it can.
#include <ramie/recursive_mutex.h>
#include <ramie/shared_mutex.h>
#include <ramie/sync.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>
#include <type_traits>

#include "support/crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Parameters>
class LockType : public ::testing::Test {
 protected:
  typename Parameters::Subject lock;
  typename Parameters::Crew crew;
};

using Combinations = ::testing::Types<With<Fibers, mutex>, With<Threads, mutex>, With<Mixed, mutex>,
                                      With<Fibers, recursive_mutex>, With<Threads, recursive_mutex>,
                                      With<Mixed, recursive_mutex>, With<Fibers, shared_mutex>,
                                      With<Threads, shared_mutex>, With<Mixed, shared_mutex>>;
TYPED_TEST_SUITE(LockType, Combinations);

TYPED_TEST(LockType, ExcludesOthers) {
  constexpr int kWorkers = 8;
  constexpr int kTurns = 200;
  int inside = 0;
  int turns = 0;
  for (int i = 0; i < kWorkers; ++i) {
    this->crew.start([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        std::lock_guard guard(this->lock);
        EXPECT_EQ(++inside, 1);
        if (turn % 8 == 0) {
          yield();  // the others run into the lock
        }
        --inside;
        ++turns;
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(turns, kWorkers * kTurns);
}

TYPED_TEST(LockType, TryLockFailsWhileAnotherHoldsIt) {
  this->lock.lock();
  std::atomic<bool> tried = false;
  this->crew.start([&] {
    EXPECT_FALSE(this->lock.try_lock());
    EXPECT_FALSE(this->lock.try_lock_for(0ms));
    tried = true;
  });
  EXPECT_TRUE(eventually([&] { return tried.load(); }));
  this->lock.unlock();
  EXPECT_TRUE(this->lock.try_lock());
  this->lock.unlock();
  this->crew.join();
}

TYPED_TEST(LockType, ATimedWaitEndsAtItsTimeAndLeavesNoTrace) {
  this->lock.lock();
  std::atomic<bool> ended = false;
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_FALSE(this->lock.try_lock_for(20ms));
    EXPECT_FALSE(this->lock.try_lock_until(std::chrono::system_clock::now() + 1ms));
    EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
    ended = true;
  });
  EXPECT_TRUE(eventually([&] { return ended.load(); }));
  this->lock.unlock();
  std::unique_lock again(this->lock, 1min);
  EXPECT_TRUE(again.owns_lock());
  this->crew.join();
}

TYPED_TEST(LockType, ATimedWaitEndsWithTheLockIfItIsFreed) {
  this->lock.lock();
  std::atomic<bool> begins = false;
  std::atomic<bool> has_it = false;
  this->crew.start([&] {
    begins = true;
    has_it = this->lock.try_lock_for(10min);
    this->lock.unlock();
  });
  ASSERT_TRUE(eventually([&] { return begins.load(); }));
  yield();
  EXPECT_FALSE(has_it);
  this->lock.unlock();
  this->crew.join();
  EXPECT_TRUE(has_it);
}

// A holder that never waits without the lock: the waiter gets it all the same.
TYPED_TEST(LockType, AGreedyHolderStarvesNobody) {
  std::atomic<bool> got_it = false;
  this->lock.lock();
  this->crew.start([&] {
    std::lock_guard guard(this->lock);
    got_it = true;
  });
  EXPECT_TRUE(eventually([&] {
    this->lock.unlock();
    this->lock.lock();
    return got_it.load();
  }));
  this->lock.unlock();
  this->crew.join();
}

TYPED_TEST(LockType, WorksWithTheStandardsLocks) {
  std::remove_reference_t<decltype(this->lock)> other;
  for (int i = 0; i < 4; ++i) {
    this->crew.start([&, swapped = i % 2 == 0] {
      for (int turn = 0; turn < 50; ++turn) {
        if (swapped) {
          std::scoped_lock both(other, this->lock);
          yield();
        } else {
          std::scoped_lock both(this->lock, other);
          yield();
        }
      }
    });
  }
  this->crew.join();
  std::unique_lock again(this->lock, std::try_to_lock);
  EXPECT_TRUE(again.owns_lock());
}

}  // namespace
}  // namespace ramie::test

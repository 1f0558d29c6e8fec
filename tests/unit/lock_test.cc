#include "base/lock.h"

#include <gtest/gtest.h>

#include <atomic>
#include <thread>
#include <vector>

namespace ramie::base {
namespace {

// The analysis can't follow a lock through an expectation.
bool taken(Lock& lock) RAMIE_NO_THREAD_SAFETY_ANALYSIS { return lock.try_lock(); }
void give_back(Lock& lock) RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); }

TEST(Lock, IsHeldByOneAtATime) {
  constexpr int kThreads = 4;
  constexpr int kTurns = 20'000;
  Lock lock;
  int counter = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < kTurns; ++i) {
        LockGuard guard(lock);
        ++counter;
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(counter, kThreads * kTurns);
}

TEST(Lock, TryLockTellsWhetherItIsHeld) {
  Lock lock;
  EXPECT_FALSE(lock.held());
  ASSERT_TRUE(taken(lock));
  EXPECT_TRUE(lock.held());
  EXPECT_FALSE(taken(lock));
  give_back(lock);
  EXPECT_TRUE(taken(lock));
  give_back(lock);
}

TEST(Lock, OneThatSleepsForItIsWoken) {
  Lock lock;
  std::atomic<int> got_it = 0;
  ASSERT_TRUE(taken(lock));
  std::vector<std::thread> threads;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      LockGuard guard(lock);
      ++got_it;
    });
  }
  for (int i = 0; i < 1000; ++i) {
    std::this_thread::yield();  // likely all give up spinning meanwhile; the outcome is the same
  }
  EXPECT_EQ(got_it, 0);
  give_back(lock);
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(got_it, 3);
  EXPECT_FALSE(lock.held());
}

TEST(Lock, AResetFreesIt) {
  Lock lock;
  ASSERT_TRUE(taken(lock));
  lock.reset();
  EXPECT_TRUE(taken(lock));
  give_back(lock);
}

}  // namespace
}  // namespace ramie::base

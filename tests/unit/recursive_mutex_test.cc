#include <ramie/recursive_mutex.h>

#include <atomic>
#include <chrono>
#include <mutex>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Crew>
class RecursiveMutex : public ::testing::Test {
 protected:
  recursive_mutex lock;
  Crew crew;
};
TYPED_TEST_SUITE(RecursiveMutex, Crews);

TYPED_TEST(RecursiveMutex, ItsHolderLocksItAgainInEveryWay) {
  std::atomic<int> held = 0;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      std::lock_guard first(this->lock);
      EXPECT_EQ(++held, 1);
      std::lock_guard second(this->lock);
      EXPECT_TRUE(this->lock.try_lock());
      EXPECT_TRUE(this->lock.try_lock_for(1ms));
      yield();
      this->lock.unlock();
      this->lock.unlock();
      --held;
    });
  }
  this->crew.join();
  EXPECT_TRUE(this->lock.try_lock());
  this->lock.unlock();
}

TYPED_TEST(RecursiveMutex, IsFreeAfterAsManyUnlocksAsLocks) {
  this->lock.lock();
  this->lock.lock();
  this->lock.unlock();
  std::atomic<bool> tried = false;
  this->crew.start([&] {
    EXPECT_FALSE(this->lock.try_lock());
    tried = true;
  });
  ASSERT_TRUE(eventually([&] { return tried.load(); }));
  this->lock.unlock();
  this->crew.start([&] {
    EXPECT_TRUE(this->lock.try_lock());
    this->lock.unlock();
  });
  this->crew.join();
}

// The thread locks before it has fibers, and is the same one when it has some.
TEST(RecursiveMutexes, AThreadStaysTheHolderWhenItSpawns) {
  std::thread([] {
    recursive_mutex lock;
    lock.lock();
    spawn([&] {
      EXPECT_FALSE(lock.try_lock()) << "a fiber of that thread is somebody else";
    }).get();
    EXPECT_TRUE(lock.try_lock());
    lock.unlock();
    lock.unlock();
    spawn([&] {
      EXPECT_TRUE(lock.try_lock());
      lock.unlock();
    }).get();
  }).join();
}

}  // namespace
}  // namespace ramie::test

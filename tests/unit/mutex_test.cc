// What can be said of a mutex by looking at who is parked.  The rest: conformance/lock_types_test.
#include "sync/mutex.h"

#include <ramie/sync.h>

#include <atomic>
#include <chrono>
#include <mutex>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using std::chrono::milliseconds;

// The runtime's own mutex and the public one, under one set of names.
class Inner {
 public:
  void lock() { mutex_.lock(); }
  void unlock() { mutex_.unlock(); }
  bool try_lock() { return mutex_.try_lock(); }
  bool try_lock_for(milliseconds time) { return mutex_.lock_until(in_ms(time.count())); }

 private:
  sync::Mutex mutex_;
};
using Public = ramie::mutex;

template <class Parameters>
class Mutex : public ::testing::Test {
 protected:
  // The address on which the lock's waiters park: that of its word, which is its first member.
  [[nodiscard]] unsigned waiting() const { return parked_on(&lock); }

  void start_waiting(unsigned already) {
    crew.start([this] {
      std::lock_guard guard(lock);
      order.push_back(started.fetch_add(1));
    });
    ASSERT_TRUE(eventually([&] { return waiting() == already + 1; }));
  }

  typename Parameters::Subject lock;
  std::atomic<int> started = 0;
  std::vector<int> order;  // guarded by lock
  typename Parameters::Crew crew;
};
using Combinations =
    ::testing::Types<With<Fibers, Inner>, With<Threads, Inner>, With<Mixed, Inner>,
                     With<Fibers, Public>, With<Threads, Public>, With<Mixed, Public>>;
TYPED_TEST_SUITE(Mutex, Combinations);

TYPED_TEST(Mutex, AWaiterGetsItOnceItIsFree) {
  this->lock.lock();
  this->start_waiting(0);
  EXPECT_EQ(this->started, 0);
  this->lock.unlock();
  this->crew.join();
  EXPECT_EQ(this->started, 1);
}

TYPED_TEST(Mutex, ATimedWaitEndsAtItsTime) {
  this->lock.lock();
  std::atomic<bool> ended = false;
  this->crew.start([&] {
    int64_t before = base::now();
    EXPECT_FALSE(this->lock.try_lock_for(milliseconds(20)));
    EXPECT_GE(base::now() - before, 20'000'000);
    ended = true;
  });
  EXPECT_TRUE(eventually([&] { return ended.load(); }));
  EXPECT_EQ(this->waiting(), 0U);
  this->lock.unlock();
  EXPECT_TRUE(this->lock.try_lock_for(milliseconds(0)));
  this->lock.unlock();
}

TYPED_TEST(Mutex, ATimedWaitEndsWithTheLockIfItIsFreed) {
  this->lock.lock();
  this->crew.start([&] {
    EXPECT_TRUE(this->lock.try_lock_for(milliseconds(60'000)));
    this->lock.unlock();
  });
  ASSERT_TRUE(eventually([&] { return this->waiting() == 1; }));
  this->lock.unlock();
}

TYPED_TEST(Mutex, TheLastWaiterLeavesItAsGoodAsNew) {
  this->lock.lock();
  this->start_waiting(0);
  this->lock.unlock();
  this->crew.join();
  for (int i = 0; i < 3; ++i) {
    ASSERT_TRUE(this->lock.try_lock());
    this->lock.unlock();
  }
}

TEST(PublicMutex, MayBeDestroyedByWhoeverLocksItLast) {
  for (int i = 0; i < 200; ++i) {
    auto* lock = new ramie::mutex;
    lock->lock();
    std::thread last([lock] {
      lock->lock();
      lock->unlock();
      delete lock;
    });
    if (i % 2 == 0) {
      (void)eventually([&] { return parked_on(lock) == 1; });
    }
    lock->unlock();
    last.join();
  }
}

}  // namespace
}  // namespace ramie::test

// The runtime's own lock: for short sections that never park.  Spins briefly, then sleeps in the
// kernel, so that a holder which the kernel has preempted doesn't cost a time slice.
//
// It is taken by kernel threads, also while they run a fiber: a fiber that holds one must not
// switch.
//
// | word | means                                    |
// |------|------------------------------------------|
// | 0    | free                                     |
// | 1    | held, nobody sleeps                      |
// | 2    | held, somebody may sleep on the word     |
#pragma once

#include <atomic>
#include <cstdint>

#include "base/futex.h"
#include "base/one_thread.h"
#include "base/thread_safety.h"

namespace ramie::base {

class RAMIE_CAPABILITY("lock") Lock {
 public:
  constexpr Lock() = default;
  Lock(const Lock&) = delete;
  Lock& operator=(const Lock&) = delete;

  void lock() RAMIE_ACQUIRE() {
    uint32_t free = 0;
    // Pairs with unlock().
    if (!compare_exchange(word_, free, 1U, std::memory_order_acquire, std::memory_order_relaxed))
        [[unlikely]] {
      lock_slowly();
    }
  }

  [[nodiscard]] bool try_lock() RAMIE_TRY_ACQUIRE(true) {
    uint32_t free = 0;
    return word_.compare_exchange_strong(free, 1, std::memory_order_acquire,
                                         std::memory_order_relaxed);
  }

  void unlock() RAMIE_RELEASE() {
    if (has_one_thread()) {
      word_.store(0, std::memory_order_relaxed);
      return;
    }
    // Pairs with lock() and lock_slowly().
    if (word_.exchange(0, std::memory_order_release) == 2) [[unlikely]] {
      futex_wake(word_, 1);
    }
  }

  // A glance, which says nothing about the next moment.
  [[nodiscard]] bool held() const { return word_.load(std::memory_order_relaxed) != 0; }

  // After fork, in the child: nobody else is there any more, whoever held it.
  void reset() RAMIE_NO_THREAD_SAFETY_ANALYSIS { word_.store(0, std::memory_order_relaxed); }

 private:
  void lock_slowly() RAMIE_NO_THREAD_SAFETY_ANALYSIS;

  std::atomic<uint32_t> word_ = 0;
};

class RAMIE_SCOPED_CAPABILITY LockGuard {
 public:
  explicit LockGuard(Lock& lock) RAMIE_ACQUIRE(lock) : lock_(lock) { lock_.lock(); }
  ~LockGuard() RAMIE_RELEASE() { lock_.unlock(); }
  LockGuard(const LockGuard&) = delete;
  LockGuard& operator=(const LockGuard&) = delete;

 private:
  Lock& lock_;
};

}  // namespace ramie::base

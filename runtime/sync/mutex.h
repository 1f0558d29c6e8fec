// A mutual exclusion lock for fibers and kernel threads alike: one 32-bit word and the parking lot.
//
// | word            | means                                                                       |
// |-----------------|-----------------------------------------------------------------------------|
// | 0               | free                                                                        |
// | locked          | held; nobody is parked                                                      |
// | locked, parked  | held; somebody may be parked                                                |
// | parked          | free, a waiter was woken and others stay parked; whoever comes may take it  |
//
// `parked` is set by a waiter before it parks, and cleared by an unlock that finds nobody behind
// the waiter it wakes, under the bucket's lock.
//
// Unlocking doesn't hand the lock over as a rule: it frees it and wakes the first waiter, which
// competes with whoever runs already.  That spares a switch for each lock operation of a fiber that
// locks again and again.  So that nobody starves, a waiter that has lost kPatience times asks for a
// hand-off: the next unlock leaves `locked` set, and the woken one owns it.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/deadline.h"

namespace ramie::sync {

class Mutex {
 public:
  static constexpr uint32_t kFree = 0;
  static constexpr uint32_t kLocked = 1;
  static constexpr uint32_t kParked = 2;
  static constexpr unsigned kPatience = 3;

  constexpr Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  [[nodiscard]] bool try_lock() { return try_lock(word_); }
  void lock() { (void)lock_until(base::Deadline::never()); }

  // False if the deadline passed first.  Signals don't end the wait.
  [[nodiscard]] bool lock_until(base::Deadline deadline) {
    return try_lock(word_) || lock_slowly(word_, deadline);
  }

  void unlock() {
    if (!try_unlock(word_)) {
      unlock_slowly(word_);
    }
  }

  // The same on a bare word, for objects whose layout is someone else's (the public API).
  static bool try_lock(std::atomic<uint32_t>& word) {
    uint32_t seen = kFree;
    // Acquire pairs with try_unlock() and unlock_slowly().
    if (word.compare_exchange_strong(seen, kLocked, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
      return true;
    }
    return seen == kParked &&
           word.compare_exchange_strong(seen, kParked | kLocked, std::memory_order_acquire,
                                        std::memory_order_relaxed);
  }
  static bool try_unlock(std::atomic<uint32_t>& word) {
    uint32_t seen = kLocked;
    return word.compare_exchange_strong(seen, kFree, std::memory_order_release,
                                        std::memory_order_relaxed);
  }
  static bool lock_slowly(std::atomic<uint32_t>& word, base::Deadline deadline);
  static void unlock_slowly(std::atomic<uint32_t>& word);

 private:
  std::atomic<uint32_t> word_ = kFree;
};

}  // namespace ramie::sync

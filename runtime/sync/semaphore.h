// A counting semaphore for fibers and kernel threads alike: one 32-bit word and the parking lot.
//
// | word          | means                                                         |
// |---------------|---------------------------------------------------------------|
// | 2 * n         | n units are free, nobody is parked                            |
// | 2 * n + 1     | n units are free, somebody may be parked (n > 0: one that was |
// |               | woken is on its way, and whoever comes first takes the unit)  |
//
// Units are not handed over as a rule, for the reason that mutex.h gives, and with the same remedy
// for a waiter that has lost several times.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/deadline.h"
#include "base/one_thread.h"

namespace ramie::sync {

class Semaphore {
 public:
  static constexpr uint32_t kParked = 1;
  static constexpr uint32_t kUnit = 2;
  static constexpr uint32_t kMax = UINT32_MAX / kUnit;

  constexpr explicit Semaphore(uint32_t units) : word_(units * kUnit) {}
  Semaphore(const Semaphore&) = delete;
  Semaphore& operator=(const Semaphore&) = delete;

  [[nodiscard]] bool try_acquire() { return try_acquire(word_); }
  void acquire() { (void)acquire_until(base::Deadline::never()); }

  // False if the deadline passed first.  Signals don't end the wait.
  [[nodiscard]] bool acquire_until(base::Deadline deadline) {
    return try_acquire(word_) || acquire_slowly(word_, deadline);
  }

  // Adds units and wakes as many waiters.  The sum must stay within kMax.  Never switches.
  void release(uint32_t units = 1) {
    if (!try_release(word_, units)) {
      release_slowly(word_, units);
    }
  }

  // The same on a bare word.
  static bool try_acquire(std::atomic<uint32_t>& word) {
    uint32_t seen = word.load(std::memory_order_relaxed);
    while (seen >= kUnit) {
      // Acquire pairs with try_release() and release_slowly().
      if (base::compare_exchange(word, seen, seen - kUnit, std::memory_order_acquire,
                                 std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  static bool try_release(std::atomic<uint32_t>& word, uint32_t units) {
    uint32_t seen = word.load(std::memory_order_relaxed);
    while ((seen & kParked) == 0) {
      if (word.compare_exchange_weak(seen, seen + units * kUnit, std::memory_order_release,
                                     std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }
  static bool acquire_slowly(std::atomic<uint32_t>& word, base::Deadline deadline);
  static void release_slowly(std::atomic<uint32_t>& word, uint32_t units);

  // For those who wait for a unit without taking it (the parking lot's watches).  Whether there is
  // none, and then the next release() looks for waiters: with the word's bucket locked.
  [[nodiscard]] static bool must_wait(std::atomic<uint32_t>& word);

 private:
  std::atomic<uint32_t> word_;
};

}  // namespace ramie::sync

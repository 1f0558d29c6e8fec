// An event that stays set until somebody clears it ("manual reset"): a gate for fibers and kernel
// threads alike.
//
// | word   | means                                |
// |--------|--------------------------------------|
// | clear  | not set, nobody waits                |
// | set    | set                                  |
// | parked | not set, somebody may be parked      |
#pragma once

#include <atomic>
#include <cstdint>

#include "base/deadline.h"

namespace ramie::sync {

class Event {
 public:
  static constexpr uint32_t kClear = 0;
  static constexpr uint32_t kSet = 1;
  static constexpr uint32_t kParked = 2;

  constexpr Event() = default;
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;

  [[nodiscard]] bool is_set() const {
    return word_.load(std::memory_order_acquire) == kSet;  // pairs with set()
  }

  // Lets all who wait go on, and all who come until clear().  Never switches.
  void set() { set(word_); }

  void clear() { clear(word_); }

  void wait() { (void)wait_until(base::Deadline::never()); }

  // False if the deadline passed first.  True also if the event was cleared again before the woken
  // waiter ran: it has been set while it waited.
  bool wait_until(base::Deadline deadline) { return is_set() || wait_slowly(word_, deadline); }

  // The same on a bare word.
  static void set(std::atomic<uint32_t>& word) {
    uint32_t seen = kClear;
    // Release pairs with is_set() and wait_slowly().
    if (!word.compare_exchange_strong(seen, kSet, std::memory_order_release,
                                      std::memory_order_relaxed) &&
        seen == kParked) {
      set_slowly(word);
    }
  }
  static void clear(std::atomic<uint32_t>& word) {
    uint32_t seen = kSet;
    word.compare_exchange_strong(seen, kClear, std::memory_order_relaxed);
  }
  // Under the lock of the word's bucket (parking_lot.h): whether it is not set.  Whoever asks is
  // announced.
  static bool must_wait(std::atomic<uint32_t>& word) {
    uint32_t seen = kClear;
    // Acquire pairs with set().
    word.compare_exchange_strong(seen, kParked, std::memory_order_acquire,
                                 std::memory_order_acquire);
    return seen != kSet;
  }
  static bool wait_slowly(std::atomic<uint32_t>& word, base::Deadline deadline);
  static void set_slowly(std::atomic<uint32_t>& word);

 private:
  std::atomic<uint32_t> word_ = kClear;
};

}  // namespace ramie::sync

#include "sync/event.h"

#include "sync/parking_lot.h"

namespace ramie::sync {

bool Event::wait_slowly(std::atomic<uint32_t>& word, base::Deadline deadline) {
  for (;;) {
    uint32_t seen = kClear;
    // Acquire pairs with set().
    word.compare_exchange_strong(seen, kParked, std::memory_order_acquire,
                                 std::memory_order_acquire);
    if (seen == kSet) {
      return true;
    }
    ParkResult result = park(&word, {.deadline = deadline},
                             [&] { return word.load(std::memory_order_relaxed) == kParked; });
    if (result.how == Outcome::woken) {
      std::atomic_thread_fence(std::memory_order_acquire);
      return true;
    }
    if (gave_up(result.how)) {
      return false;
    }
  }
}

void Event::set_slowly(std::atomic<uint32_t>& word) {
  // Under the bucket's lock, so that who waits after a clear() that comes next isn't woken as well.
  unpark_two(&word, kEverybody, &word, 0, [&] {
    word.store(kSet, std::memory_order_release);
    return false;
  });
}

}  // namespace ramie::sync

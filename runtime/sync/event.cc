#include "sync/event.h"

#include "core/switch.h"
#include "sync/buckets.h"

namespace ramie::sync {
namespace {

[[gnu::always_inline]] inline bool wait_until_set(std::atomic<uint32_t>& word,
                                                  base::Deadline deadline) {
  constexpr uint32_t kParked = Event::kParked;
  for (;;) {
    uint32_t seen = Event::kClear;
    // Acquire pairs with set().
    word.compare_exchange_strong(seen, kParked, std::memory_order_acquire,
                                 std::memory_order_acquire);
    if (seen == Event::kSet) {
      return true;
    }
    ParkResult result = park_inline(&word, {.deadline = deadline}, [&] {
      return word.load(std::memory_order_relaxed) == kParked;
    });
    if (result.how == Outcome::woken) {
      std::atomic_thread_fence(std::memory_order_acquire);
      return true;
    }
    if (gave_up(result.how)) {
      return false;
    }
  }
}

}  // namespace

bool Event::wait_slowly(std::atomic<uint32_t>& word, base::Deadline deadline) {
  return core::return_by_jump(wait_until_set(word, deadline));
}

void Event::set_slowly(std::atomic<uint32_t>& word) {
  // Under the bucket's lock, so that who waits after a clear() that comes next isn't woken as well.
  unpark_two(&word, kEverybody, &word, 0, [&] {
    word.store(kSet, std::memory_order_release);
    return false;
  });
}

}  // namespace ramie::sync

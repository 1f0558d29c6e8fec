#include "sync/mutex.h"

#include "core/switch.h"
#include "sync/buckets.h"

namespace ramie::sync {
namespace {

constexpr uint32_t kCompete = 0;
constexpr uint32_t kHandedOver = 1;

[[gnu::always_inline]] inline bool lock_in_turn(std::atomic<uint32_t>& word,
                                                base::Deadline deadline) {
  constexpr uint32_t kLocked = Mutex::kLocked;
  constexpr uint32_t kParked = Mutex::kParked;
  unsigned lost = 0;
  for (;;) {
    uint32_t seen = word.load(std::memory_order_relaxed);
    if ((seen & kLocked) == 0) {
      if (word.compare_exchange_weak(seen, seen | kLocked, std::memory_order_acquire,
                                     std::memory_order_relaxed)) {
        return true;
      }
      continue;
    }
    if ((seen & kParked) == 0 &&
        !word.compare_exchange_weak(seen, seen | kParked, std::memory_order_relaxed)) {
      continue;
    }
    ParkOptions options{
        .deadline = deadline, .front = lost > 0, .wants_handoff = lost >= Mutex::kPatience};
    ParkResult result = park_inline(&word, options, [&] {
      return word.load(std::memory_order_relaxed) == (kLocked | kParked);
    });
    if (gave_up(result.how)) {
      return false;
    }
    if (result.how == Outcome::woken) {
      if (result.token == kHandedOver) {
        std::atomic_thread_fence(std::memory_order_acquire);  // pairs with unlock_slowly()
        return true;
      }
      ++lost;
    }
  }
}

}  // namespace

bool Mutex::lock_slowly(std::atomic<uint32_t>& word, base::Deadline deadline) {
  return core::return_by_jump(lock_in_turn(word, deadline));
}

void Mutex::unlock_slowly(std::atomic<uint32_t>& word) {
  // A waiter may have set `parked` and found the word changed before it parked: then nobody is
  // here.
  unpark_one_inline(&word, [&](UnparkOne waiter) -> uint32_t {
    uint32_t rest = waiter.has_more ? kParked : 0;
    if (waiter.found && waiter.wants_handoff) {
      word.store(kLocked | rest, std::memory_order_release);
      return kHandedOver;
    }
    word.store(rest, std::memory_order_release);  // pairs with try_lock() and lock_slowly()
    return kCompete;
  });
}

}  // namespace ramie::sync

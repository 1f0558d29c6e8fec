#include "sync/semaphore.h"

#include "core/switch.h"
#include "sync/buckets.h"
#include "sync/mutex.h"

namespace ramie::sync {
namespace {

constexpr uint32_t kCompete = 0;
constexpr uint32_t kHandedOver = 1;

[[gnu::always_inline]] inline bool acquire_in_turn(std::atomic<uint32_t>& word,
                                                   base::Deadline deadline) {
  unsigned lost = 0;
  for (;;) {
    if (Semaphore::try_acquire(word)) {
      return true;
    }
    uint32_t seen = 0;
    if (!base::compare_exchange(word, seen, Semaphore::kParked, std::memory_order_relaxed,
                                std::memory_order_relaxed) &&
        seen != Semaphore::kParked) {
      continue;  // units came in between
    }
    ParkOptions options{
        .deadline = deadline, .front = lost > 0, .wants_handoff = lost >= Mutex::kPatience};
    ParkResult result = park_inline(
        &word, options, [&] { return word.load(std::memory_order_relaxed) == Semaphore::kParked; });
    if (gave_up(result.how)) {
      return false;
    }
    if (result.how == Outcome::woken) {
      if (result.token == kHandedOver) {
        std::atomic_thread_fence(std::memory_order_acquire);  // pairs with release_slowly()
        return true;
      }
      ++lost;
    }
  }
}

}  // namespace

bool Semaphore::acquire_slowly(std::atomic<uint32_t>& word, base::Deadline deadline) {
  return core::return_by_jump(acquire_in_turn(word, deadline));
}

bool Semaphore::must_wait(std::atomic<uint32_t>& word) {
  uint32_t seen = 0;
  return word.compare_exchange_strong(seen, kParked, std::memory_order_acquire) || seen < kUnit;
}

void Semaphore::release_slowly(std::atomic<uint32_t>& word, uint32_t units) {
  // One waiter and one unit at a time, so that each unit is either in the word or in the hands of
  // the one that is woken.
  while (units > 0) {
    unpark_one_inline(&word, [&](UnparkOne waiter) -> uint32_t {
      bool hand_over = waiter.found && waiter.wants_handoff;
      // Without waiters all units go in at once.
      uint32_t now = waiter.found ? 1 : units;
      // The bit stays when the last waiter is woken: often it soon waits again, and else the next
      // release finds nobody.
      uint32_t seen = word.load(std::memory_order_relaxed);
      uint32_t next;
      do {
        next = hand_over ? seen : seen + now * kUnit;
        next = waiter.found ? next | kParked : next & ~kParked;
        if (seen == kParked) {
          // Nobody else changes a word that has the bit and no units.
          word.store(next, std::memory_order_release);
          break;
        }
        // Others may take units meanwhile, but never change the bit of a word that has it.
      } while (!word.compare_exchange_weak(seen, next, std::memory_order_release,
                                           std::memory_order_relaxed));
      units -= now;
      return hand_over ? kHandedOver : kCompete;
    });
  }
}

}  // namespace ramie::sync

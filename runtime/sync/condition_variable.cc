#include "sync/condition_variable.h"

#include "core/switch.h"
#include "sync/parking_lot.h"

namespace ramie::sync {

bool ConditionVariable::wait(std::atomic<uint32_t>& word, base::Deadline deadline,
                             void (*unlock)(void*), void* lock) {
  // The caller holds its mutex until it is queued, and a notifier has changed the condition under
  // the same mutex: so it either sees the word set, or the waiter saw the condition.
  ParkResult result = park(
      &word, {.deadline = deadline},
      [&word] {
        word.store(1, std::memory_order_relaxed);
        return true;
      },
      [unlock, lock] { unlock(lock); });
  return core::return_by_jump(!gave_up(result.how));
}

void ConditionVariable::notify_one(std::atomic<uint32_t>& word) {
  unpark_one(&word, [&](UnparkOne waiter) -> uint32_t {
    if (!waiter.has_more) {
      word.store(0, std::memory_order_relaxed);
    }
    return 0;
  });
}

void ConditionVariable::notify_all(std::atomic<uint32_t>& word) {
  unpark_two(&word, kEverybody, &word, 0, [&] {
    word.store(0, std::memory_order_relaxed);
    return false;
  });
}

}  // namespace ramie::sync

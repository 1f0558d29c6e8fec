// The slow paths of <ramie/sync.h>: its types hold the same words as those of runtime/sync.
#include <ramie/detail/abi.h>

#include "api/interruptible.h"
#include "base/deadline.h"
#include "core/switch.h"
#include "sync/condition_variable.h"
#include "sync/event.h"
#include "sync/mutex.h"
#include "sync/semaphore.h"

namespace ramie::detail {

static_assert(mutex_free == sync::Mutex::kFree && mutex_locked == sync::Mutex::kLocked &&
              mutex_parked == sync::Mutex::kParked);
static_assert(semaphore_unit == sync::Semaphore::kUnit);
static_assert(event_set == sync::Event::kSet);

bool lock_slowly(word& mutex, std::int64_t deadline) noexcept {
  bool locked;
  {
    Interruptible section;
    locked = sync::Mutex::lock_slowly(mutex, base::Deadline::at(deadline));
  }
  return core::return_by_jump(locked);
}

void unlock_slowly(word& mutex) noexcept { sync::Mutex::unlock_slowly(mutex); }

bool wait_condition(word& condition, word& mutex, std::int64_t deadline) noexcept {
  auto unlock = [](void* locked) {
    word& held = *static_cast<word*>(locked);
    if (!sync::Mutex::try_unlock(held)) {
      sync::Mutex::unlock_slowly(held);
    }
  };
  bool notified;
  {
    Interruptible section;
    notified =
        sync::ConditionVariable::wait(condition, base::Deadline::at(deadline), unlock, &mutex);
  }
  // Whatever ended the wait, the caller holds the mutex afterwards.
  (void)sync::Mutex::lock_slowly(mutex, base::Deadline::never());
  return notified;
}

void notify_one(word& condition) noexcept { sync::ConditionVariable::notify_one(condition); }

void notify_all(word& condition) noexcept { sync::ConditionVariable::notify_all(condition); }

bool acquire_slowly(word& semaphore, std::int64_t deadline) noexcept {
  bool acquired;
  {
    Interruptible section;
    acquired = sync::Semaphore::acquire_slowly(semaphore, base::Deadline::at(deadline));
  }
  return core::return_by_jump(acquired);
}

void release_units(word& semaphore, std::uint32_t units) noexcept {
  if (!sync::Semaphore::try_release(semaphore, units)) {
    sync::Semaphore::release_slowly(semaphore, units);
  }
}

bool wait_event(word& event, std::int64_t deadline) noexcept {
  bool was_set;
  {
    Interruptible section;
    was_set = sync::Event::wait_slowly(event, base::Deadline::at(deadline));
  }
  return core::return_by_jump(was_set);
}

void set_event(word& event) noexcept { sync::Event::set(event); }

void clear_event(word& event) noexcept { sync::Event::clear(event); }

}  // namespace ramie::detail

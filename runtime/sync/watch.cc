// Waiting for several addresses at once: the parking lot's watches.
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "base/futex.h"
#include "core/carrier.h"
#include "core/park.h"
#include "event/section.h"
#include "sync/parking_lot.h"
#include "sync/waiter.h"

namespace ramie::sync {

bool watch(Watch& watch, WatchSet& set, const void* address, FunctionRef<bool()> validate) {
  auto& waiter = *new (&watch.place) Waiter(address, {});
  waiter.set = &set;
  waiter.watch = &watch;
  event::Section section;
  return enqueue(waiter, address, false, validate);
}

bool unwatch(Watch& watch) { return withdraw(*reinterpret_cast<Waiter*>(&watch.place)); }

Outcome wait_fired_once(WatchSet& set, base::Deadline deadline) {
  core::RuntimeSection whole(*core::current());  // as in park()
  {
    event::Section section;
    base::LockGuard guard(set.lock);
    if (set.fired != nullptr) {
      return Outcome::woken;
    }
    set.ticket = core::prepare_park();
  }
  core::Wake wake =
      core::park({core::WaitKind::address, reinterpret_cast<uintptr_t>(&set)}, deadline);
  event::Section section;
  base::LockGuard guard(set.lock);
  set.ticket = {};
  return set.fired != nullptr ? Outcome::woken : outcome_of(wake);
}

Watch* wait_fired(WatchSet& set, base::Deadline deadline) {
  core::Fiber* self = core::current();
  bool on_fiber = self != nullptr;
  for (;;) {
    // As in park(), and ended each time, so that a handler whose signal ended the park runs.
    std::optional<core::RuntimeSection> whole;
    if (on_fiber) {
      whole.emplace(*self);
    }
    {
      event::Section section;
      base::LockGuard guard(set.lock);
      set.ticket = {};
      if (Watch* fired = std::exchange(set.fired, nullptr)) {
        return fired;
      }
      set.word.store(0, std::memory_order_relaxed);
      if (on_fiber) {
        set.ticket = core::prepare_park();
      }
    }
    bool gave_up_waiting;
    if (on_fiber) {
      core::WaitReason reason{core::WaitKind::address, reinterpret_cast<uintptr_t>(&set)};
      core::Wake wake = core::park(reason, deadline);
      gave_up_waiting = gave_up(outcome_of(wake));
    } else {
      gave_up_waiting = base::futex_wait(set.word, 0, deadline) == -ETIMEDOUT;
    }
    if (gave_up_waiting) {
      event::Section section;
      base::LockGuard guard(set.lock);
      set.ticket = {};
      return std::exchange(set.fired, nullptr);
    }
  }
}

}  // namespace ramie::sync

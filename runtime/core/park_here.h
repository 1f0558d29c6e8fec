// What park.h has, inline: park() for the few functions that every switch of a kind goes through,
// which then return by a jump themselves (see switch.h), and what belongs to it.
#pragma once

#include "base/check.h"
#include "base/one_thread.h"
#include "core/carrier.h"
#include "core/scheduler.h"
#include "core/switch.h"

namespace ramie::core {

// After a switch away from a fiber that parks.
void finish_park(Carrier& carrier, Fiber& left);

// What unpark(), interrupt() and cancel() have in common: one compare-exchange decides who wakes
// the park.
[[gnu::always_inline]] inline bool wake_from(Fiber& fiber, uint64_t state, Wake why) {
  uint64_t epoch = Fiber::epoch_of(state);
  // Acquire pairs with finish_park(); release hands what the waker wrote to the woken fiber.
  auto change = [&](Phase to) {
    return fiber.state.compare_exchange_strong(
        state, Fiber::pack(epoch, why, to), std::memory_order_acq_rel, std::memory_order_acquire);
  };
  do {
    switch (Fiber::phase_of(state)) {
      case Phase::parked:
        if (change(Phase::idle)) {
          make_ready(fiber);
          return true;
        }
        break;
      case Phase::prepared:
        if (change(Phase::notified)) {
          return true;
        }
        break;
      default:
        return false;
    }
  } while (Fiber::epoch_of(state) == epoch);
  return false;
}

// As unpark() in park.h.
[[gnu::always_inline]] inline bool unpark_here(Ticket ticket, Wake why = Wake::unparked) {
  uint64_t state = ticket.fiber->state.load(std::memory_order_acquire);
  return Fiber::epoch_of(state) == ticket.epoch && wake_from(*ticket.fiber, state, why);
}

// As prepare_park() there, on the running fiber.
[[gnu::always_inline]] inline Ticket prepare_park_here(Fiber& self) {
  uint64_t epoch = Fiber::epoch_of(self.state.load(std::memory_order_relaxed)) + 1;
  bool may_be_cancelled = self.interruptible && self.kind == FiberKind::light;
  self.state.store(
      Fiber::pack(epoch, may_be_cancelled ? Wake::cancelled : Wake::unparked, Phase::prepared),
      std::memory_order_release);
  return {&self, epoch};
}

// Whether the park may be published before the stack is left, and nothing remains to be done after:
// nobody else is there who could wake the fiber in between, and nothing has been asked of it.
[[gnu::always_inline]] inline bool may_publish_first(const Fiber& self, uint64_t state) {
  return base::has_one_thread() && !self.interrupt_requested.load(std::memory_order_relaxed) &&
         (Fiber::wake_of(state) != Wake::cancelled ||
          !self.cancel_requested.load(std::memory_order_relaxed));
}

// As park() in park.h, on the running fiber and within a RuntimeSection of the caller's.
[[gnu::always_inline]] inline Wake park_here(Fiber& self, WaitReason reason,
                                             base::Deadline deadline, Commit commit) {
  Carrier& carrier = *self.carrier;
  uint64_t state = self.state.load(std::memory_order_acquire);
  RAMIE_CHECK(Fiber::phase_of(state) != Phase::idle && self.kind != FiberKind::loop);
  if (Fiber::phase_of(state) == Phase::notified) {
    if (commit.function != nullptr) {
      commit.function(commit.argument);
    }
  } else {
    bool ends_with_scope = self.interruptible && self.wait->scopes_end < deadline;
    if (ends_with_scope) {
      deadline = self.wait->scopes_end;
    }
    self.wait->reason = reason;
    self.wait->since = carrier.now;
    carrier.parks.store(carrier.parks.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
    bool timed = !deadline.is_never();
    if (timed) {
      carrier.timers.set(self.wait->timer, {&self, Fiber::epoch_of(state)}, deadline);
    }
    Fiber& next = next_after_park(carrier);
    Carrier::After after = nullptr;
    if (commit.function == nullptr && may_publish_first(self, state)) {
      self.state.store(Fiber::pack(Fiber::epoch_of(state), Fiber::wake_of(state), Phase::parked),
                       std::memory_order_relaxed);
    } else {
      carrier.commit = commit;
      after = finish_park;
    }
    (void)switch_to(carrier, self, next, after);
    send_for_next(*self.carrier);
    if (timed) {
      TimerHeap::cancel(self.wait->timer);
    }
    self.wait->reason = {};
    state = self.state.load(std::memory_order_acquire);
    if (ends_with_scope && Fiber::wake_of(state) == Wake::timed_out) [[unlikely]] {
      state = Fiber::pack(Fiber::epoch_of(state), Wake::cancelled, Phase::idle);
    }
  }
  if (Fiber::wake_of(state) == Wake::interrupted) {
    // Acquire: what its sender wrote before is seen when the section ends.
    (void)self.interrupt_requested.exchange(false, std::memory_order_acq_rel);
  }
  self.state.store(Fiber::pack(Fiber::epoch_of(state), Wake::unparked, Phase::idle),
                   std::memory_order_relaxed);
  return Fiber::wake_of(state);
}

}  // namespace ramie::core

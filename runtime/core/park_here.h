// park(), inline: for the few functions that every switch of a kind goes through, which then return
// by a jump themselves (see switch.h).
#pragma once

#include "base/check.h"
#include "core/carrier.h"
#include "core/switch.h"

namespace ramie::core {

// After a switch away from a fiber that parks.
void finish_park(Carrier& carrier, Fiber& left);

// As park() in park.h.
[[gnu::always_inline]] inline Wake park_here(WaitReason reason, base::Deadline deadline,
                                             Commit commit) {
  Fiber& self = *current();
  RuntimeSection section(self);
  Carrier& carrier = *self.carrier;
  uint64_t state = self.state.load(std::memory_order_acquire);
  RAMIE_CHECK(Fiber::phase_of(state) != Phase::idle && self.kind != FiberKind::loop);
  if (Fiber::phase_of(state) == Phase::notified) {
    if (commit.function != nullptr) {
      commit.function(commit.argument);
    }
  } else {
    bool ends_with_scope = self.interruptible && self.scopes_end < deadline;
    if (ends_with_scope) {
      deadline = self.scopes_end;
    }
    self.reason = reason;
    self.waiting_since = carrier.now;
    carrier.parks.store(carrier.parks.load(std::memory_order_relaxed) + 1,
                        std::memory_order_relaxed);
    bool timed = !deadline.is_never();
    if (timed) {
      carrier.timers.set(self.timer, {&self, Fiber::epoch_of(state)}, deadline);
    }
    carrier.commit = commit;
    switch_to(carrier, self, next_to_run(carrier), finish_park);
    if (timed) {
      TimerHeap::cancel(self.timer);
    }
    self.reason = {};
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

#include "core/park.h"

#include "base/check.h"
#include "core/carrier.h"
#include "core/park_here.h"
#include "core/scheduler.h"
#include "core/switch.h"

namespace ramie::core {

// After a switch away from a fiber that parks.  From the compare-exchange on, the fiber may run
// again, on any carrier: nothing of it is touched afterwards.
void finish_park(Carrier& carrier, Fiber& left) {
  if (carrier.turns.measures()) [[unlikely]] {
    note_turn(carrier, left);
  }
  if (carrier.commit.function != nullptr) {
    carrier.commit.function(carrier.commit.argument);
    carrier.hand_over.begin(carrier.switches.load(std::memory_order_relaxed));
  }
  // Acquire: what a waker wrote before it found the fiber prepared; pairs with wake_from().
  uint64_t state = left.state.load(std::memory_order_acquire);
  uint64_t epoch = Fiber::epoch_of(state);
  if (Fiber::phase_of(state) == Phase::prepared) {
    // Release: the saved context, for the carrier that resumes it; pairs with unpark().
    // Sequentially consistent for cancel(): of it and this, one sees what the other wrote.
    uint64_t parked = Fiber::pack(epoch, Fiber::wake_of(state), Phase::parked);
    bool may_be_cancelled = Fiber::wake_of(state) == Wake::cancelled;
    if (left.state.compare_exchange_strong(state, parked, std::memory_order_seq_cst,
                                           std::memory_order_acquire)) {
      // Such a fiber is light: it runs on this carrier alone, so it is still there.
      if (may_be_cancelled && left.cancel_requested.load(std::memory_order_seq_cst)) {
        (void)wake_from(left, parked, Wake::cancelled);
      }
      if (left.interrupt_requested.load(std::memory_order_seq_cst)) {
        (void)wake_from(left, parked, Wake::interrupted);
      }
      return;
    }
  }
  // Woken in the meantime: whoever did it saw that the stack was still in use and left it to us.
  left.state.store(Fiber::pack(epoch, Fiber::wake_of(state), Phase::idle),
                   std::memory_order_relaxed);
  put_back(carrier, left);
}

Ticket prepare_park() { return prepare_park_here(*current()); }

void abandon_park() {
  Fiber& self = *current();
  uint64_t epoch = Fiber::epoch_of(self.state.load(std::memory_order_relaxed));
  // Acquire: if a waker was first, what it wrote is seen all the same.
  self.state.exchange(Fiber::pack(epoch, Wake::unparked, Phase::idle), std::memory_order_acquire);
}

Wake park(WaitReason reason, base::Deadline deadline, Commit commit) {
  Wake how;
  {
    Fiber& self = *current();
    RuntimeSection section(self);
    how = park_here(self, reason, deadline, commit);
  }
  return return_by_jump(how);
}

bool unpark(Ticket ticket, Wake why) { return unpark_here(ticket, why); }

bool interrupt(Fiber& fiber) {
  // Before the look at the state: a fiber that is on its way into a park finds it there.  Both are
  // sequentially consistent, and so are the two in finish_park().
  fiber.interrupt_requested.store(true, std::memory_order_seq_cst);
  // Only the fiber clears it, when its park reports the interruption.
  return wake_from(fiber, fiber.state.load(std::memory_order_seq_cst), Wake::interrupted);
}

void keep_interruption() {
  Fiber* self = current();
  if (self == nullptr) {
    return;
  }
  self->interrupt_requested.store(true, std::memory_order_seq_cst);
  if (self->host != nullptr) {
    self->signal_pending.store(true, std::memory_order_relaxed);  // who leaves looks what it was
  }
}

void cancel(Fiber& fiber) {
  fiber.cancel_requested.store(true, std::memory_order_seq_cst);
  uint64_t state = fiber.state.load(std::memory_order_seq_cst);  // both as in finish_park()
  if (Fiber::wake_of(state) == Wake::cancelled) {
    (void)wake_from(fiber, state, Wake::cancelled);
  }
}

bool yield() {
  Fiber& self = *current();
  RuntimeSection::begin(self);
  Carrier& carrier = *self.carrier;
  Fiber& next = next_to_run(carrier);
  Carrier::After after = put_behind;
  if (self.home.load(std::memory_order_relaxed) == &carrier) [[likely]] {
    // Nobody else takes from this queue, so the fiber may be there before its stack is left.
    carrier.pinned.push(&self);
    after = nullptr;
  }
  RuntimeSection::end(switch_to(carrier, self, next, after));
  return return_by_jump(true);
}

bool run_in_place(Fiber& next) {
  Fiber& self = *current();
  RuntimeSection::begin(self);
  Carrier& carrier = *self.carrier;
  if (self.home.load(std::memory_order_relaxed) != &carrier ||
      next.home.load(std::memory_order_relaxed) != &carrier) {
    RuntimeSection::end(self);
    return false;
  }
  // As in yield().  The loop's turn comes at the next switch.
  carrier.pinned.push_front(&self);
  carrier.hand_over.forbid(carrier.switches.load(std::memory_order_relaxed) + 1);
  RuntimeSection::end(switch_to(carrier, self, next, nullptr));
  return return_by_jump(true);
}

Wake sleep_until(base::Deadline deadline) {
  Wake how;
  {
    Fiber& self = *current();
    RuntimeSection section(self);  // no handler waits between the ticket and the park
    (void)prepare_park_here(self);
    how = park_here(self, {WaitKind::sleep, 0}, deadline, {});
  }
  return return_by_jump(how);
}

}  // namespace ramie::core

// The switch from one fiber to another, inline where it is used.
//
// A processor predicts returns by the calls that it has seen, and after a jump to another stack it
// has seen the wrong ones: each return on the way back to the program is mispredicted.  So nothing
// here is a function of its own, and whoever switches returns by return_by_jump().
//
// The jump saves all registers that a call leaves alone.  So that a function which does little else
// need not save them a second time, nothing is kept in one of them across the jump, nor across the
// calls that are made in rare cases: what is needed afterwards is found anew.
#pragma once

#include "core/carrier.h"
#include "core/cpu_clock.h"
#include "core/sanitizer.h"
#include "core/stack.h"

namespace ramie::core {

// Returns its argument from the function that calls it last of all (a tail call, so the stack
// pointer is at that function's return address): by an indirect jump, which is predicted by where
// it went before.
[[gnu::visibility("hidden")]] Wake return_by_jump(Wake value) asm("ramie_return_by_jump");
[[gnu::visibility("hidden")]] bool return_by_jump(bool value) asm("ramie_return_by_jump");
[[gnu::visibility("hidden")]] int return_by_jump(int value) asm("ramie_return_by_jump");

[[gnu::always_inline]] inline void set_current(Fiber* fiber) {
  asm volatile("movq %0, %%fs:(%1)" : : "r"(fiber), "r"(current_offset()) : "memory");
}

[[gnu::always_inline]] inline void save_shared_state(Fiber& fiber) {
  if (fiber.shares_tcb) {
    WaitState& wait = *fiber.wait;
    wait.saved_errno = *wait.tcb->errno_address;
    __builtin_memcpy(wait.saved_exceptions, wait.tcb->exceptions, sizeof wait.saved_exceptions);
  }
}

[[gnu::always_inline]] inline void restore_shared_state(const Fiber& fiber) {
  if (fiber.shares_tcb) {
    const WaitState& wait = *fiber.wait;
    *wait.tcb->errno_address = wait.saved_errno;
    __builtin_memcpy(wait.tcb->exceptions, wait.saved_exceptions, sizeof wait.saved_exceptions);
  }
}

// As a new fiber finds it, which is at home.
[[gnu::always_inline]] inline void begin_shared_state(const Fiber& fiber) {
  if (fiber.shares_tcb) {
    const SharedTcb& tcb = fiber.carrier->shared;
    fiber.wait->tcb = &tcb;
    *tcb.errno_address = 0;
    __builtin_memset(tcb.exceptions, 0, sizeof WaitState::saved_exceptions);
  }
}

[[gnu::always_inline]] inline Arrival leave(Carrier& carrier, Fiber& from, Fiber& to,
                                            Carrier::After after, bool for_ever) {
  if (!for_ever) {
    save_shared_state(from);
  }
  carrier.previous = &from;
  carrier.after = after;
  to.carrier = &carrier;
  Carrier* on = &carrier;
  Fiber* next = &to;
  if (to.context == nullptr) {
    next = &enter_stack(to);
    on = next->carrier;
  }
  if (cpu_clocks_run.load(std::memory_order_acquire)) [[unlikely]] {
    next = &charge(*on, *on->previous, *next);
    on = next->carrier;
  }
  // No read-modify-write: nobody else writes.
  on->switches.store(on->switches.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  on->current.store(next, std::memory_order_relaxed);
  tls::set(on->cpu, next->fs_base);
  set_current(next);
  before_switch(on->previous->sanitizer, next->sanitizer, for_ever);
  return jump(next->context, on);
}

// The kernel gets the mask that the fiber needs, which has arrived.  The running fiber.
[[gnu::cold]] Fiber& block_signals();

// On the new stack: who goes on there, or begins.  What was left may be resumed elsewhere from here
// on.
[[gnu::always_inline]] inline Fiber& arrive(Arrival arrival, bool begins = false) {
  Carrier& carrier = *static_cast<Carrier*>(arrival.data);
  Fiber& left = *carrier.previous;
  left.context = arrival.fctx;
  if constexpr (kIsSanitized) {
    after_switch(current()->sanitizer, left.sanitizer);
  }
  if (carrier.after != nullptr) [[unlikely]] {
    carrier.after(carrier, left);
  }
  Fiber& now = *current();
  if (begins) {
    begin_shared_state(now);
  } else {
    restore_shared_state(now);
  }
  uint64_t blocked = now.carrier->kernel_mask.load(std::memory_order_relaxed);
  return (now.signal_mask & ~blocked) == 0 ? now : block_signals();
}

// Sends for what the next fiber needs first: its control block, the frames that it was left in, as
// many lines as `kFrames`, and the first below them; and for the one after, as far as it takes to
// find those.
template <int kFrames>
[[gnu::always_inline]] inline void send_for(const Fiber& next, const Fiber* after_next) {
  constexpr int kLine = 64;
  constexpr int kBelow = 2;
  __builtin_prefetch(&next.state);
  __builtin_prefetch(__atomic_load_n(&next.wait, __ATOMIC_RELAXED));
  const auto* frames = static_cast<const char*>(__atomic_load_n(&next.context, __ATOMIC_RELAXED));
  if (frames != nullptr) {  // else it begins on a stack that somebody has just left
    for (int i = -kBelow; i < kFrames; ++i) {
      __builtin_prefetch(frames + i * kLine);
    }
  }
  __builtin_prefetch(after_next);
}

// Of many fibers that were spawned or woken together, most are not in the cache when their turns
// come.  So the one that goes on, or begins, sends for what the next one needs.
[[gnu::always_inline]] inline void send_for_next(const Carrier& carrier) {
  constexpr int kFew = 6;
  constexpr int kHosted = 16;  // the libc call, the entry, and the operation that waits
  if (const Fiber* next = carrier.pinned.front()) {
    send_for<kFew>(*next, next->queue_next);
  } else if (const Fiber* after_next = kIsSanitized ? nullptr : carrier.ready.glance(1)) {
    // Another carrier may have taken it, and it may have ended: the memory is a fiber's all the
    // same, for a hosted thread's is never unmapped, nor is the first thread's.  That it may be
    // written meanwhile, which only makes the guess a bad one, a sanitizer can't know.
    if (const Fiber* first = carrier.ready.glance(0)) {
      send_for<kHosted>(*first, after_next);
    }
  }
}

// Leaves `from` (the running fiber) for `to`, and then, on to's stack, calls after.  Returns `from`
// when that is resumed, maybe on another carrier.
[[gnu::always_inline]] inline Fiber& switch_to(Carrier& carrier, Fiber& from, Fiber& to,
                                               Carrier::After after) {
  return arrive(leave(carrier, from, to, after, false));
}

// As switch_to(), for a fiber that never comes back.
[[noreturn, gnu::always_inline]] inline void switch_to_for_ever(Carrier& carrier, Fiber& from,
                                                                Fiber& to, Carrier::After after) {
  (void)leave(carrier, from, to, after, true);
  __builtin_unreachable();
}

}  // namespace ramie::core

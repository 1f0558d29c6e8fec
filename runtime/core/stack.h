// Light fibers: their control blocks, and their stacks, which they get when they first run.  So of
// many that are spawned at once, and never wait, one takes the stack of another.
//
// A stack has a guard page at its low end; running over it ends the process with a message.  Stacks
// are never given back to the system one by one: the next fiber takes the one that was freed last.
#pragma once

#include <cstddef>

#include "base/one_thread.h"
#include "core/carrier.h"
#include "core/fiber.h"

namespace ramie::core {

// A fiber that is not started, with `extra_size` bytes (alignment at most 16) for its closure and
// result: beside its control block, or if that is too small at the top of its stack, which it then
// has at once and keeps as long as there is a handle.  stack_size 0 means RAMIE_STACK_SIZE. Returns
// null when memory is exhausted, or no addresses are left for its stack.  One reference is held,
// for the caller.
[[nodiscard]] Fiber* create_light_fiber(size_t stack_size, size_t extra_size, void** extra);

// Gives it its stack now.  False when memory is exhausted.
[[nodiscard]] bool place_on_stack(Fiber& fiber);
// In the switch to a fiber that has none yet, which it returns.
[[gnu::noinline]] Fiber& enter_stack(Fiber& fiber);

// A light fiber gets its home, whose TCB it shares from now on.
inline void live_on(Fiber& fiber, Carrier& home) {
  fiber.carrier = &home;
  fiber.home.store(&home, std::memory_order_relaxed);
  fiber.fs_base = home.cpu.own_fs;
  fiber.shares_tcb = true;
  base::fetch_add(home.light_fibers, 1U, std::memory_order_relaxed);
}

// Gives a created fiber its home, the calling kernel thread's carrier.  It can run then.
void settle_light_fiber(Fiber& fiber, Fiber::Entry entry);
// And makes it ready there.
void start_light_fiber(Fiber& fiber, Fiber::Entry entry);

// What settling has in common with start_anywhere() (workers.h).
void prepare_light_fiber(Fiber& fiber, Carrier& spawner, Fiber::Entry entry);

// Adds or drops a reference; the control block returns to the pool when the fiber has ended and
// nobody holds a reference.
void retain(Fiber& fiber);
void release(Fiber& fiber);
// After the fiber's last switch: its stack returns to the pool, and its run drops its reference.
void end_run(Fiber& fiber);

// The light fiber in whose guard page `address` lies, or null.
[[nodiscard]] Fiber* fiber_of_guard(uintptr_t address);

// Around fork, so that the child finds the stacks whole, whoever makes or frees one at that moment.
void lock_light_stacks_for_fork();
void unlock_light_stacks_after_fork();

// In the child of a fork around which they were not locked: those that nobody has are forgotten.
void reset_light_stacks_after_fork();

// Calls visit(fiber, argument) for each light fiber that has been started and has not ended.
void for_each_light_fiber(void (*visit)(Fiber& fiber, void* argument), void* argument);

}  // namespace ramie::core

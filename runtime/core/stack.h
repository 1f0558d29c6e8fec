// Stacks of light fibers, with the control block on the topmost page of each.
//
// A stack has a guard page at its low end; running over it ends the process with a message.  Stacks
// are never given back to the system one by one: the next fiber takes the one that was freed last.
#pragma once

#include <cstddef>

#include "base/one_thread.h"
#include "core/carrier.h"
#include "core/fiber.h"

namespace ramie::core {

// A fiber on a fresh stack, not started: its control block and `extra_size` bytes (alignment at
// most 64) for its closure and result, both at the stack's top.  stack_size 0 means
// RAMIE_STACK_SIZE. Returns null when memory is exhausted.  One reference is held, for the caller.
[[nodiscard]] Fiber* create_light_fiber(size_t stack_size, size_t extra_size, void** extra);

// A light fiber gets its home, whose TCB it shares from now on.
inline void live_on(Fiber& fiber, Carrier& home) {
  fiber.carrier = &home;
  fiber.home.store(&home, std::memory_order_relaxed);
  fiber.fs_base = home.cpu.own_fs;
  fiber.shared = &home.shared;
  base::fetch_add(home.light_fibers, 1U, std::memory_order_relaxed);
}

// Gives a created fiber its home, the calling kernel thread's carrier.  It can run then.
void settle_light_fiber(Fiber& fiber, Fiber::Entry entry);
// And makes it ready there.
void start_light_fiber(Fiber& fiber, Fiber::Entry entry);

// What settling has in common with start_anywhere() (workers.h).
void prepare_light_fiber(Fiber& fiber, Carrier& spawner, Fiber::Entry entry);

// Adds or drops a reference; the stack returns to the pool when the fiber has ended and nobody
// holds a reference.
void retain(Fiber& fiber);
void release(Fiber& fiber);

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

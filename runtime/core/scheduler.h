// The scheduler: which carriers there are, how a fiber becomes ready, when a carrier sleeps.
#pragma once

#include <cstdint>

#include "base/check.h"
#include "core/carrier.h"
#include "core/fiber.h"
#include "core/poller.h"

namespace ramie::core {

// Makes the calling kernel thread a carrier; its own stack becomes a fiber of FiberKind::thread.
// No effect on one that is a carrier already.  Opens no descriptor and starts no thread.
Carrier& attach();

// The calling kernel thread, a carrier, ends.  Fibers that have not ended stand still for ever; if
// there are none, the carrier serves the next thread that attaches.
void retire();

// From here on any carrier may run the thread's own fiber, since nobody shares its TCB: the loop
// gets one of its own.  Called by that fiber.  False when memory is exhausted.
[[nodiscard]] bool free_thread_fiber(Carrier& carrier);

// Puts a fiber that is not running where a carrier will find it: its home, or else the caller's own
// queue.  Any thread; on a fiber without a home only inside of a RuntimeSection.
inline void make_ready(Fiber& fiber);

// The same for the fiber that the calling carrier has just left; nobody else is told.
void put_back(Carrier& carrier, Fiber& fiber);

// The same for one that only yields.
void put_behind(Carrier& carrier, Fiber& fiber);

// Unparks those whose deadline has passed.  Any thread.
void fire_timers(TimerHeap& timers, int64_t now);

// Installs the poller; later calls must pass the same one.
void set_poller(const Poller* poller);

// Ends the running fiber: it leaves its stack for good, and then, on another stack,
// `last(argument)` runs, which may free or hand over what the fiber had.
[[noreturn]] void exit_current(Commit last);

// Carriers that exist, for dumps; next_carrier links them.
[[nodiscard]] Carrier* carriers();

// Counts work that goes on outside of carriers and will unpark somebody (offloaded calls, kernel
// threads of the program): while there is any, nothing is called a deadlock.
void outside_work_began();
void outside_work_ended();

// Called by a carrier that has nothing to do, nothing to wait for, and nobody who could wake it.
using DeadlockHook = void (*)();
void set_deadlock_hook(DeadlockHook hook);

// A signal handler found its carrier inside the runtime and put the signal off: the carrier's loop
// will call SignalHooks::hand_out, which finds a fiber for it.  Async-signal-safe.
void put_off_signal(Carrier& carrier);

// After fork, in the child, on the calling fiber: forgets all other fibers and carriers.  The
// calling kernel thread stays the carrier of the calling fiber.
void reset_after_fork();

// After that, where the child shall start anew: the calling kernel thread is no carrier any more.
void detach_after_fork();

// make_ready() for all but the caller's own queue of pinned fibers.
void make_ready_elsewhere(Fiber& fiber);

void make_ready(Fiber& fiber) {
  const Fiber* self = current();
  // Else a signal's handler could come in between, and move the caller while it is in the queue.
  // Without the shim, handlers move nobody.
  RAMIE_DEBUG_CHECK(self == nullptr || signal_hooks().leave == nullptr ||
                    self->runtime_depth.load(std::memory_order_relaxed) > 0);
  Carrier* home = fiber.home.load(std::memory_order_relaxed);
  if (home != nullptr && self != nullptr && self->carrier == home) [[likely]] {
    home->hand_over.push(home->pinned, &fiber, home->switches.load(std::memory_order_relaxed));
  } else {
    make_ready_elsewhere(fiber);
  }
}

}  // namespace ramie::core

// The one blocking operation.  Everything in Ramie that waits does so here.
//
//     Ticket ticket = prepare_park();          // 1. announce it
//     lock; put the ticket on a wait list      // 2. make it known to wakers
//     Wake how = park(reason, deadline, {unlock, &lock});   // 3. leave the stack; unlock; sleep
//
// `commit` runs after the fiber has left its stack, on another one, so the lock under which the
// fiber was put on the wait list can be dropped there: no wake-up is lost, and no stack is resumed
// while it is still in use.  It must not block, park or touch the parking fiber's stack.
#pragma once

#include "base/deadline.h"
#include "core/fiber.h"

namespace ramie::core {

struct Commit {
  void (*function)(void*) = nullptr;
  void* argument = nullptr;
};

// Takes the running fiber's next ticket.  Afterwards either park() or abandon_park() must follow.
[[nodiscard]] Ticket prepare_park();

// Ends a prepared park which turned out to be unnecessary.  The ticket must be off all lists, or be
// left to go stale.
void abandon_park();

// Sleeps until the ticket is unparked or the deadline passes.  Switches fibers, unless the ticket
// was unparked already.  errno survives.  Only on a fiber.
Wake park(WaitReason reason, base::Deadline deadline = base::Deadline::never(), Commit commit = {});

// Wakes the park that the ticket stands for.  True if this call is the one that did: a ticket is
// used up by its first unpark, time-out or interruption.  Any thread, also one that runs no fiber.
bool unpark(Ticket ticket, Wake why = Wake::unparked);

// Wakes a fiber with Wake::interrupted out of whatever park it is in; false if it is in none.  Then
// its next park will end so at once, unless Fiber::interrupt_requested is cleared before.
bool interrupt(Fiber& fiber);

// What has interrupted the running fiber ends its next park as well, unless the runtime is left
// before. For calls that don't tell their caller of an interruption, which may go on waiting.  Of a
// kernel thread that runs no fiber, nothing is kept.
void keep_interruption();

// Asks a light fiber to stop waiting: the park that it is in, or its next one, ends with
// Wake::cancelled if it is an interruptible one.  The request stays until the fiber takes it.  Any
// thread that holds a reference to the fiber.
void cancel(Fiber& fiber);

// Lets other ready fibers of this carrier run first.  Without one, looks for events and returns.
// Always true, for callers that return it as it is: a tail call costs them nothing.
bool yield();

// Lets `next`, which has never run, run in the caller's place; when that waits or ends, the caller
// goes on.  False, and nothing is done, unless both are at home on this carrier.
bool run_in_place(Fiber& next);

// Sleeps until the deadline; returns early only with Wake::interrupted.
Wake sleep_until(base::Deadline deadline);

}  // namespace ramie::core

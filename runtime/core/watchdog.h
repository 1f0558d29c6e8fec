// The watchdog: one kernel thread that looks at the carriers from outside, so that no call that
// blocks in spite of all and no loop that never yields can hold up the fibers behind it.
//
// A carrier that has run the same fiber for a slice (RAMIE_SLICE) is *stuck*: it computes, or it is
// blocked in the kernel.  Which of the two makes no difference; but one that is only not given a
// processor, because the machine is busy, is not stuck.  One more carrier may then take
// part (two, once several are stuck); it steals what is ready, watches for events, and the kernel
// shares the processors between the two.  The watchdog fires the timers of the stuck one, since
// nobody else would.  When that one passes its scheduler again, there is a carrier too many, and
// the next bare one that notices stands by.  One that has announced that it blocks
// (core/blocking.h) counts as stuck from then on.
//
// A thread whose calls never have to wait, say on a connection where the next request is always
// there, does not switch either.  It is asked to yield at its next call on a descriptor
// (yield_wish.h), long before the slice is over, and gets stuck if it goes on so.
//
// Between slices it corrects what the crew's cheap rules have missed: fibers that wait in the queue
// of a carrier while another sleeps, events for which nobody watches.  It looks each millisecond
// while somebody is free to help, else twice a slice, and sleeps while all carriers do.  While
// fibers have alarms on their CPU clocks (cpu_clock.h) it looks each few milliseconds at least.
#pragma once

#include "core/kernel_thread.h"

namespace ramie::core {

// Starts it, if it doesn't run.  False when there can be none: then a stuck carrier holds up what
// is bound to it.
bool start_watchdog();

[[nodiscard]] bool is_watchdog_there();

// Looks now: there is a timer that nobody else will fire.  Any thread; one system call.
void look_now();

// A carrier has ended, and leaves timers. Any thread; as look_now().
void leave_timers_to_watchdog();

// A carrier has woken up.  Any thread; a system call only if the watchdog sleeps.
void notice_work();

// The id of its kernel thread; 0 where there is none.
[[nodiscard]] int watchdog_tid();

void reset_watchdog_after_fork();

}  // namespace ramie::core

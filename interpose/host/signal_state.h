// Signals of hosted threads.
//
// Dispositions are the process's: the kernel has our handler wherever the program set one, and
// `actions` has the program's.  Masks are the fiber's: the kernel's mask of a carrier follows the
// running fiber, and is changed only when it must be:
//
// | mask                   | meaning                                                            |
// |------------------------|--------------------------------------------------------------------|
// | Thread::blocked        | what the program asked for                                         |
// | Fiber::signal_mask     | what the kernel must block while the fiber runs; lacks what glibc  |
// |                        | blocks for a moment only (all signals, around clone and exit)      |
// | Carrier::kernel_mask   | what the kernel does block now                                     |
//
// Our handler runs on the carrier's alternate stack, all signals blocked.  It pushes the program's
// handler onto the fiber's stack (core/signal_frame.h) if the fiber is in the program's code and
// does not block the signal.  Else it puts the signal off: it sends it again to the process, with
// everything blocked on its own kernel thread from there on (kernel_mask = all), so that the kernel
// keeps it until some carrier runs a fiber whose mask lets it in.
//
// A carrier that sleeps lets in what some thread doesn't block.  So a thread that blocks a signal
// must make the sleepers follow before its call returns: nobody may let it in then.
#pragma once

#include <cstdint>

#include "core/carrier.h"
#include "core/signal_frame.h"

namespace ramie::host {

struct Thread;

// At the start of hosting, on the first thread: takes over the mask and the handlers that the
// program has set so far.
void take_over_signals(Thread& first);

// In the middle of a call that has set a mask for its own duration (sigsuspend): the handlers of
// what that mask lets in run now.
void deliver_now(core::Fiber& fiber);

// After fork, in the child, which starts with one thread and without carriers: the kernel gets the
// program's handlers back.
void reset_signals_after_fork();

// The kernel's mask becomes what the program believes it is: before fork, exec, vfork.
void show_mask_to_kernel(Thread& thread);

// The program's action for a signal.  Async-signal-safe.
core::SignalAction program_action(int signal);
// SA_RESETHAND, as the handler of `action` starts.  False if that is not the program's action any
// more: then the handler doesn't start.  With all signals blocked.
[[nodiscard]] bool reset_program_action(int signal, const core::SignalAction& action);
// Also tells the one before.  0 or -errno.
[[nodiscard]] long set_program_action(int signal, const core::SignalAction& action,
                                      core::SignalAction& before);

// Around fork, so that the kernel's actions and the program's are in step in the child.
void lock_actions_for_fork();
void unlock_actions_after_fork();

// A thread is new, or its mask is.
void note_masks_changed();

// The thread ends.
void take_no_signals(Thread& thread);

// Sets the thread's mask.  The kernel's follows when the call ends.
void set_blocked(Thread& thread, uint64_t mask);

// Before set_blocked(thread, mask) in a call that is promised to handle one of the pending signals
// that it lets in before it returns (man 3p pthread_sigmask): the thread takes what the kernel
// keeps back while no carrier lets it in.  One that sleeps would do so as soon as it sees the new
// mask, and hand it out when the call has returned already.
void take_before_opening(Thread& thread, uint64_t mask);

}  // namespace ramie::host

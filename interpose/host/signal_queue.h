// What is pending for each thread, with what came along: signals that were sent to it alone, and
// those for the process that it shall take.  A standard signal is there once of either kind, and
// once of each timer; real-time signals queue up.  They are taken lowest number first, and of one
// number in the order in which they came.
//
// Between the files of signals only.  Blocks all signals of the kernel thread meanwhile, so that a
// handler of ours may come here too.
#pragma once

#include <signal.h>

#include <cstdint>

namespace ramie::host {

struct Thread;

// Sent to this thread alone.  0, or -EAGAIN when as many real-time signals queue up as
// RLIMIT_SIGPENDING allows.
[[nodiscard]] long add_own(Thread& thread, const siginfo_t& info);

// Sent to the process; this thread shall take it.
void add_given(Thread& thread, const siginfo_t& info);

// Takes the next one of `set`, and fills `info`.  0: there is none.
int take_pending(Thread& thread, uint64_t set, siginfo_t& info);

// Takes one of `set` that was given to the thread.  0: there is none.
int take_given(Thread& thread, uint64_t set, siginfo_t& info);

// The thread ends: what was sent to it alone is lost.
void forget_pending(Thread& thread);

void reset_queue_after_fork();

}  // namespace ramie::host

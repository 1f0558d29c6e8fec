// Timers of timer_create(2) that signal one thread (SIGEV_THREAD_ID), which is how libc makes those
// that start threads (SIGEV_THREAD), too.  The kernel doesn't know hosted threads: its timer sends
// the process the signal of kicks (kick.h), from whose handler the thread gets its own.  Those on
// the clock of a hosted thread: cpu_timers.h.
#pragma once

#include <signal.h>

#include "core/fiber.h"

namespace ramie::host {

[[nodiscard]] bool is_timer_signal(int signal, const siginfo_t& info);

// In our handler, with all signals blocked; `running` is null on a kernel thread that is no
// carrier.
void on_timer_signal(const siginfo_t& info, core::Fiber* running);

// Threads get what has come since.  On a carrier that may wake others, with all signals blocked.
void deliver_timer_signals();

// A thread has taken a timer's signal: timer_getoverrun() tells of that one, whose overruns are
// complete now.  With all signals blocked.
void note_taken_timer(siginfo_t& info);

void reset_timers_after_fork();

}  // namespace ramie::host

// SIGPIPE and SIGXFSZ belong to the thread that has written (man 7 signal).  The kernel sends them
// to the kernel thread that made the call, where another fiber may run by the time that they are
// let in: so they are taken over into what is pending for the writer alone, before the call ends.
#pragma once

#include <signal.h>

#include <cerrno>

namespace ramie::host {

struct Thread;

// Whether the kernel has sent it, for a call of this process.
[[nodiscard]] bool is_of_own_call(int signal, const siginfo_t& info);

// In our handler, for the thread that runs.
void keep_call_signal(Thread& thread, const siginfo_t& info);

// Errors that come with one of them.
[[nodiscard]] constexpr bool may_come_with_signal(long result) {
  return result == -EPIPE || result == -EFBIG;
}

// After a call of the running thread that failed so: the kernel keeps the signal, if it sent one,
// where the thread blocks it.  Inside the runtime.
void take_call_signal(Thread& thread);

}  // namespace ramie::host

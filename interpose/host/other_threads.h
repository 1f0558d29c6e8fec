// Keeps the process's other kernel threads still while text changes.
//
// Threads that libc has made for itself (for SIGEV_THREAD timers, aio, getaddrinfo_a, mq_notify)
// wait in the very bytes that become jumps.  Each gets the signal that glibc keeps for itself,
// which they don't block, and waits in its handler; when the text has changed, whoever was inside
// of a site goes on in its trampoline.
//
// Only threads that block every other signal are stopped: those are libc's own.  A thread of the
// program may be in a handler that has interrupted such a call, and would return into the middle of
// a jump.
#pragma once

#include "interpose/patch/patch.h"

namespace ramie::host {

// From the process's first thread, one at a time.
extern const patch::Standstill kThreadsOfLibc;

}  // namespace ramie::host

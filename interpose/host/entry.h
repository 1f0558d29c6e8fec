// Where the program's system calls arrive: one table (interpose/syscalls.def) behind all entries.
#pragma once

#include "base/sys.h"
#include "core/carrier.h"

namespace ramie::host {

// What an interrupted operation answers that is restarted whatever SA_RESTART says (the kernel's
// ERESTARTNOINTR).
inline constexpr long kRestartAlways = -513;

// An operation: gets the call's six arguments, answers as the kernel does (-errno), or
// sys::kRestart when a signal interrupted it and the call may be restarted.  Runs on the calling
// fiber, inside a RuntimeSection; never touches errno.
using Handler = long (*)(const long* arguments);

// The call as the program has made it, by the kernel.
inline long kernel(long number, const long* a) {
  return sys::call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// True while a fiber runs that is no thread of the program: a light one, or the flow that spawned
// them on a kernel thread which isn't hosted.
[[nodiscard]] inline bool on_light_fiber() {
  const core::Fiber* fiber = core::current();
  return fiber != nullptr && fiber->host == nullptr;
}

// Makes a call on the running fiber: by its handler if the table has one, else by the kernel.
// Delivers the signals that were put off meanwhile, and restarts the call where signal(7) says so.
long call(long number, long a = 0, long b = 0, long c = 0, long d = 0, long e = 0, long f = 0);

// The same for one that comes from syscall(): credentials become those of the calling thread alone,
// where libc's own functions change them for all (kernel_state.cc).  kPassOn for all other calls,
// and where no thread of the program runs.
[[nodiscard]] long change_own_credentials(long number, const long* arguments);

// From the kernel's convention to libc's: sets errno and answers -1 for -errno.
long finish(long result);

}  // namespace ramie::host

// Syscall User Dispatch (prctl(2), PR_SET_SYSCALL_USER_DISPATCH; Linux 5.11): the way into the
// table where text may not be rewritten.
//
// On a carrier the kernel makes no system call itself whose instruction lies outside of this
// library: it sends SIGSYS instead.  The handler does what a trampoline does at a patched site, so
// that the interrupted code finds itself in the same entry (interpose/patch/entry.S), on its own
// stack, with no signal frame left.  It is not inherited: children and kernel threads that are no
// carriers call the kernel.  Some 2 us a call, wherever it is made from, be it libc or not.
#pragma once

#include "core/carrier.h"

namespace ramie::host {

// Whether the kernel has it.
[[nodiscard]] bool has_user_dispatch();

// From here on carriers that begin are dispatched; before the first of them is made.
void choose_user_dispatch();
[[nodiscard]] bool is_dispatch_chosen();

// Makes the calling carrier's calls dispatched, if that was chosen, and takes SIGSYS over.  After
// the program's signal handlers have been taken over.  False when the kernel refuses.
[[nodiscard]] bool dispatch_this_thread();

// Whether the kernel's action for this signal is the dispatch's.
[[nodiscard]] bool is_dispatch_signal(int signal);

// In a fork's child, whose kernel thread isn't dispatched.
void reset_user_dispatch_after_fork();

}  // namespace ramie::host

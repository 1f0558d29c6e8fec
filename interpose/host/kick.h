// A kick makes another carrier's kernel thread look up, wherever it is: in the program's code, in
// the runtime, or asleep.
//
// It is a signal, of the number that glibc keeps for itself to change credentials (SIGSETXID), with
// a value that tells it from glibc's.  Programs can't block it, except through the kernel.
#pragma once

#include <signal.h>

#include "core/carrier.h"

namespace ramie::host {

inline constexpr int kKickSignal = core::kInternalSignal;

void kick(const core::Carrier& carrier);

// That of the process's first kernel thread, which never stands by, and has turns therefore.  Null
// where that is none, as in some forks' children.
[[nodiscard]] core::Carrier* first_carrier();

// The other carriers run nothing any more from now on, wherever they are.  One that is inside the
// kernel goes no further when it comes out.  For the end of the process.
void stop_others_for_good();
// In the handler, on the kicked carrier: does not return once the others are to stop.
void stop_if_told();

[[nodiscard]] bool is_kick(int signal, const siginfo_t& info);

// Changes the credentials of every carrier's kernel thread by the same system call.  0 or the
// error of the calling one.  Signals are not blocked.
[[nodiscard]] long change_credentials(long number, const long* a);

// In the handler, on the kicked carrier.
void catch_up_with_credentials(core::Carrier& carrier);

// On a carrier that has just begun: its creator's credentials may be older than the last change.
// Or on another kernel thread that creates some.  `taken_on` says which change it has made.
void take_on_credentials(std::atomic<uint64_t>& taken_on);

void reset_kicks_after_fork();

}  // namespace ramie::host

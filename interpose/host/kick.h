// A kick makes another carrier's kernel thread look up, wherever it is: in the program's code, in
// the runtime, or asleep.
//
// It is a signal, of the number that glibc keeps for itself to change credentials (SIGSETXID), with
// a value that tells it from glibc's.  Programs can't block it, except through the kernel.
#pragma once

#include <signal.h>

#include "core/carrier.h"
#include "core/internal_signal.h"

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

// Changes the credentials of every carrier's kernel thread by the same system call, once: libc has
// each of the program's threads make it, and those that come later find it made.  0 or the error of
// the calling one.  Signals are not blocked.
[[nodiscard]] long change_credentials(long number, const long* a);

// The calling thread, on a kernel thread of its own, makes that other than the crew's: as natively,
// it makes every change by itself from now on.  With credentials of its own, its changes are none
// of the process's.  Answers what follow_again() wants, should it have been in vain.
[[nodiscard]] uint64_t stop_following(bool has_other_credentials);
void follow_again(uint64_t where_it_stopped);

// What a new thread starts with (Thread::credentials).  While libc has its threads make a change,
// none begins.
[[nodiscard]] uint8_t last_change_of_credentials();

// In the handler, on the kicked carrier.
void catch_up_with_credentials(core::Carrier& carrier);

// On a carrier that has just begun: its creator's credentials may be older than the last change.
// Or on another kernel thread that creates some.  `taken_on` says which change it has made.
void take_on_credentials(std::atomic<uint64_t>& taken_on);

void reset_kicks_after_fork();

}  // namespace ramie::host

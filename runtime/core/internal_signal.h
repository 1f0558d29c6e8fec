// The signal by which kernel threads of Ramie reach each other.
#pragma once

#include <signal.h>

namespace ramie::core {

// glibc's own (SIGSETXID), which it sends to threads of its own alone: to change credentials.  The
// shim takes it over.
inline constexpr int kInternalSignal = 33;

// To the kernel thread `tid` of this process.  The address of `mark` says whose it is.  Where too
// many signals are pending (RLIMIT_SIGPENDING counts those of all processes of a user) the kernel
// refuses it: then it is tried again for a while, and the log says if that was in vain.
void send_internal_signal(int tid, const void* mark);

[[nodiscard]] inline bool is_marked(const siginfo_t& info, const void* mark) {
  return info.si_code == SI_QUEUE && info.si_value.sival_ptr == mark;
}

// A kernel thread's own is never refused, but has nothing with it then.
[[nodiscard]] inline bool has_lost_mark(const siginfo_t& info) {
  return info.si_code == SI_USER && info.si_pid == 0;
}

}  // namespace ramie::core

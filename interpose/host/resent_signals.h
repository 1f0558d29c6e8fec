// Signals that go back to the kernel because nobody can take them at the moment, and what came
// along with them.  Between the files of signals only.
#pragma once

#include <signal.h>

namespace ramie::host {

// Sends it to the process.  On the first kernel thread the kernel takes the siginfo as it is; on
// others it lets nobody say that somebody else has sent it, and gets one from which restore_info()
// finds it.  With all signals blocked.
void resend(int signal, const siginfo_t& info);

// What the kernel has given for a signal becomes what came with that at first.
void restore_info(siginfo_t& info);

void reset_resent_after_fork();

}  // namespace ramie::host

// Whether a kernel thread of this process could run, which only a file in /proc tells.
#pragma once

namespace ramie::core {

// False for one that sleeps in the kernel or has ended.  Takes no descriptor number of the
// program's, not for a moment.  One caller at a time, which is no carrier.
[[nodiscard]] bool is_runnable(int tid);

void reset_thread_state_after_fork();

}  // namespace ramie::core

// Where a kernel thread of this process runs, which only a file in /proc tells.
#pragma once

namespace ramie::core {

// The processor on which it runs or waits to run; -1 for one that sleeps in the kernel or has
// ended.  Takes no descriptor number of the program's, not for a moment.  One caller at a time,
// which is no carrier.
// (Where no kernel thread can be made for it, it opens a file itself.)
[[nodiscard]] int processor_of(int tid);

// Whether it doesn't have to.
[[nodiscard]] bool are_processors_told();

[[nodiscard]] inline bool is_runnable(int tid) { return processor_of(tid) >= 0; }

void reset_thread_state_after_fork();

}  // namespace ramie::core

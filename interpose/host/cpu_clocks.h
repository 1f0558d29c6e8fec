// The clocks of the processor time that hosted threads use; see cpu_timers.h for what waits on
// them.
#pragma once

#include <cstdint>

namespace ramie::host {

// The thread of a clock id as pthread_getcpuclockid makes it, or the hosted one that calls, where
// that is 0 or the id is CLOCK_THREAD_CPUTIME_ID.  -1 for every other clock.
[[nodiscard]] int thread_of_clock(long clock);

// False if no such thread is hosted.
[[nodiscard]] bool read_thread_clock(int tid, int64_t& nanos);

}  // namespace ramie::host

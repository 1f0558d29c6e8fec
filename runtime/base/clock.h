// Clocks, as the vDSO reads them: no kernel entry, no thread-local, and nothing of libc, before
// whose clock_gettime the shim has one of its own.
#pragma once

#include <time.h>

#include <atomic>

namespace ramie::base {

// clock_gettime(2): 0 or -errno.
using ReadClock = int(clockid_t clock, timespec* time);

// The vDSO's function, or the system call where there is none.  The first call finds it; two that
// do so at the same time find the same.
[[gnu::visibility("hidden")]] extern std::atomic<ReadClock*> read_clock_by;

// Any clock that the caller knows to exist.
[[nodiscard]] inline timespec read_clock(clockid_t clock) {
  timespec time{};
  (void)read_clock_by.load(std::memory_order_relaxed)(clock, &time);
  return time;
}

}  // namespace ramie::base

// clock_gettime, clock_getres: libc makes them by the vDSO, which enters the kernel for the clocks
// of processor time where no patched site is.
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

RAMIE_EXPORT int symbol_clock_gettime(clockid_t clock, timespec* time) __asm__("clock_gettime");
RAMIE_EXPORT int symbol_clock_getres(clockid_t clock, timespec* resolution) __asm__("clock_getres");

namespace {

// CLOCK_THREAD_CPUTIME_ID, and what pthread_getcpuclockid gives.
bool is_of_thread(clockid_t clock) { return clock == CLOCK_THREAD_CPUTIME_ID || clock < 0; }

}  // namespace

int symbol_clock_gettime(clockid_t clock, timespec* time) {
  if (real.clock_gettime != nullptr && !is_of_thread(clock)) [[likely]] {
    return real.clock_gettime(clock, time);
  }
  return static_cast<int>(host::finish(host::call(SYS_clock_gettime, clock, sys::arg(time))));
}

int symbol_clock_getres(clockid_t clock, timespec* resolution) {
  if (real.clock_getres != nullptr && !is_of_thread(clock)) {
    return real.clock_getres(clock, resolution);
  }
  return static_cast<int>(host::finish(host::call(SYS_clock_getres, clock, sys::arg(resolution))));
}

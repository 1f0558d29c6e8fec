// sleep, usleep, thrd_sleep.
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

RAMIE_EXPORT unsigned symbol_sleep(unsigned seconds) __asm__("sleep");
RAMIE_EXPORT int symbol_usleep(useconds_t microseconds) __asm__("usleep");
RAMIE_EXPORT int symbol_thrd_sleep(const timespec* time, timespec* rest) __asm__("thrd_sleep");

unsigned symbol_sleep(unsigned seconds) {
  if (passes_on(real.sleep)) {
    return real.sleep(seconds);
  }
  timespec time = {seconds, 0};
  long result = call_instead(SYS_nanosleep, sys::arg(&time), sys::arg(&time));
  constexpr long kHalfSecond = 500'000'000;
  return result == 0 ? 0 : static_cast<unsigned>(time.tv_sec) + (time.tv_nsec >= kHalfSecond);
}

int symbol_usleep(useconds_t microseconds) {
  if (passes_on(real.usleep)) {
    return real.usleep(microseconds);
  }
  constexpr useconds_t kPerSecond = 1'000'000;
  timespec time = {microseconds / kPerSecond, static_cast<long>(microseconds % kPerSecond) * 1000};
  return static_cast<int>(host::finish(call_instead(SYS_nanosleep, sys::arg(&time))));
}

// 0, -1 when interrupted, another negative number for an error (C11 7.26.5.7); errno stays.
int symbol_thrd_sleep(const timespec* time, timespec* rest) {
  if (passes_on(real.thrd_sleep)) {
    return real.thrd_sleep(time, rest);
  }
  long result =
      call_instead(SYS_clock_nanosleep, CLOCK_REALTIME, 0, sys::arg(time), sys::arg(rest));
  return result == 0 ? 0 : result == -EINTR ? -1 : -2;
}

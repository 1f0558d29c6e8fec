// Durations and time points of <chrono> as the runtime takes them: nanoseconds of the monotonic
// clock, absolute.  Not part of the interface.
#pragma once

#include <ramie/detail/abi.h>

#include <chrono>
#include <cstdint>
#include <type_traits>

namespace ramie::detail {

// In nanoseconds, rounded up so that nobody wakes early; too large means for ever.
template <class Rep, class Period>
std::int64_t saturated(const std::chrono::duration<Rep, Period>& duration) {
  using std::chrono::nanoseconds;
  constexpr double most = 9.2e18;  // just below what 64 bits hold
  if (std::chrono::duration<double, std::nano>(duration).count() >= most) {
    return never;
  }
  return std::chrono::ceil<nanoseconds>(duration).count();
}

// A negative duration, and one that is not a number, means now.
template <class Rep, class Period>
std::int64_t deadline_after(const std::chrono::duration<Rep, Period>& duration) {
  // steady_clock is CLOCK_MONOTONIC, counted from its own zero, in libstdc++ and in libc++.
  std::int64_t now = saturated(std::chrono::steady_clock::now().time_since_epoch());
  if (!(duration > duration.zero())) {
    return now;
  }
  std::int64_t wait = saturated(duration);
  return wait >= never - now ? never : now + wait;
}

// A time of another clock is converted once, at the call: later steps of that clock don't count.
template <class Clock, class Duration>
std::int64_t deadline_at(const std::chrono::time_point<Clock, Duration>& time) {
  if constexpr (std::is_same_v<Clock, std::chrono::steady_clock>) {
    return time.time_since_epoch() > Duration::zero() ? saturated(time.time_since_epoch()) : 0;
  } else {
    auto now = Clock::now();
    return time > now ? deadline_after(time - now) : 0;
  }
}

}  // namespace ramie::detail

// The one type for points in time: nanoseconds of CLOCK_MONOTONIC, absolute.
//
// Durations, struct timespec and wall clocks end at the edges (the public API, the system calls
// that the shim serves); everything inside passes a Deadline.
#pragma once

#include <time.h>

#include <compare>
#include <cstdint>
#include <limits>

#include "base/clock.h"

namespace ramie::base {

inline constexpr int64_t kNanosPerSecond = 1'000'000'000;

struct Deadline {
  int64_t nanos = std::numeric_limits<int64_t>::max();

  static constexpr Deadline never() { return {}; }
  static constexpr Deadline at(int64_t nanos) { return {nanos}; }

  // Saturates: a sum past the end of time is never(), a negative duration is "now".
  static constexpr Deadline after(int64_t now, int64_t duration) {
    if (duration < 0) {
      return {now};
    }
    return duration >= std::numeric_limits<int64_t>::max() - now ? never()
                                                                 : Deadline{now + duration};
  }

  [[nodiscard]] constexpr bool is_never() const { return *this == never(); }
  [[nodiscard]] constexpr bool passed(int64_t now) const { return nanos <= now; }
  constexpr auto operator<=>(const Deadline&) const = default;
};

// Nanoseconds of CLOCK_MONOTONIC.
inline int64_t now() {
  timespec t = read_clock(CLOCK_MONOTONIC);
  return t.tv_sec * kNanosPerSecond + t.tv_nsec;
}

// How long until the deadline; never negative.  Of one that is never() the longest there is.
inline int64_t nanos_left(Deadline deadline) {
  if (deadline.is_never()) {
    return deadline.nanos;
  }
  int64_t left = deadline.nanos <= 0 ? 0 : deadline.nanos - now();
  return left > 0 ? left : 0;
}

// A struct timespec as a duration in nanoseconds, saturated.  The caller has checked its range.
constexpr int64_t to_nanos(const timespec& t) {
  if (t.tv_sec >= std::numeric_limits<int64_t>::max() / kNanosPerSecond - 1) {
    return std::numeric_limits<int64_t>::max();
  }
  return t.tv_sec * kNanosPerSecond + t.tv_nsec;
}

constexpr timespec to_timespec(int64_t nanos) {
  return {static_cast<time_t>(nanos / kNanosPerSecond), static_cast<long>(nanos % kNanosPerSecond)};
}

// What the kernel accepts as a timespec (EINVAL otherwise).
constexpr bool is_valid(const timespec& t) {
  return t.tv_sec >= 0 && t.tv_nsec >= 0 && t.tv_nsec < kNanosPerSecond;
}

}  // namespace ramie::base

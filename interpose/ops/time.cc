// nanosleep, clock_nanosleep, sched_yield, pause.
#include <time.h>

#include <algorithm>

#include "base/deadline.h"
#include "base/sys.h"
#include "core/park.h"
#include "event/offload.h"
#include "interpose/host/cpu_timers.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {
namespace {

// A sleep of no time at all is a courtesy to the others, as it is natively.
core::Wake sleep_until(base::Deadline deadline) {
  if (deadline.passed(base::now())) {
    core::yield();
    return core::Wake::timed_out;
  }
  return core::sleep_until(deadline);
}

// Sleeps for the timespec at `request`; stores what a signal left of it at `rest`, if given.
long sleep_for(long request, long rest) {
  timespec time;
  if (!copy_in(time, request)) {
    return -EFAULT;
  }
  if (!base::is_valid(time)) {
    return -EINVAL;
  }
  base::Deadline deadline = base::Deadline::after(base::now(), base::to_nanos(time));
  if (sleep_until(deadline) != core::Wake::interrupted) {
    return 0;
  }
  if (rest != 0) {
    if (!looks_mapped(rest)) {
      return -EFAULT;
    }
    int64_t left = std::max<int64_t>(deadline.nanos - base::now(), 0);
    copy_out(rest, deadline.is_never() ? time : base::to_timespec(left));
  }
  return -EINTR;
}

int64_t clock_now(clockid_t clock) {
  timespec now;
  (void)sys::call(SYS_clock_gettime, clock, sys::arg(&now));
  return base::to_nanos(now);
}

// The clock is looked at again at the end: the wall clock may have been set back meanwhile.
long sleep_until_time_of(clockid_t clock, long request) {
  timespec time;
  if (!copy_in(time, request)) {
    return -EFAULT;
  }
  if (!base::is_valid(time)) {
    return -EINVAL;
  }
  int64_t target = base::to_nanos(time);
  int64_t left = target - clock_now(clock);
  do {
    if (sleep_until(base::Deadline::after(base::now(), left)) == core::Wake::interrupted) {
      return -EINTR;
    }
    left = target - clock_now(clock);
  } while (left > 0);
  return 0;
}

bool runs_with_time(clockid_t clock) {
  return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
         clock == CLOCK_TAI;
}

}  // namespace

long nanosleep(const long* a) { return sleep_for(a[0], a[1]); }

// Relative sleeps don't notice that a clock is set, on any clock (man 2 clock_nanosleep).
long clock_nanosleep(const long* a) {
  auto clock = static_cast<clockid_t>(a[0]);
  if (!runs_with_time(clock)) {
    long result = host::sleep_on_cpu_clock(a);
    if (result != sys::kPassOn) {
      return result;
    }
    // The process's CPU clock runs with its work, alarm clocks wake the machine; the rest is
    // refused.
    return event::offload_interruptibly(SYS_clock_nanosleep, a);
  }
  return (a[1] & TIMER_ABSTIME) != 0 ? sleep_until_time_of(clock, a[2]) : sleep_for(a[2], a[3]);
}

long sched_yield(const long*) {
  core::yield();
  return 0;
}

long pause(const long*) {
  while (core::sleep_until(base::Deadline::never()) != core::Wake::interrupted) {
  }
  return -EINTR;
}

}  // namespace ramie::ops

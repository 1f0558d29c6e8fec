// What waits for the processor time of a hosted thread: timers of timer_create(2) on its clock, and
// clock_nanosleep(2).  The kernel has such clocks for kernel threads alone.  So each thread's
// nearest time is an alarm of its fiber (core/cpu_clock.h), and what it does is done on a carrier.
#pragma once

#include <time.h>

#include <cstdint>

#include "core/carrier.h"
#include "interpose/host/timer_table.h"

namespace ramie::host {

// timer_create(2) on the clock of the thread `tid`, which may have ended.
[[nodiscard]] long create_cpu_timer(const long* a, int tid);

// The timer was set, at `now` of its clock.  deliver_cpu_alarms() is to follow.
void follow_cpu_timer(const ThreadTimer& timer, int64_t now) RAMIE_REQUIRES(timers_lock);

// The thread's alarm becomes that of its timer, or sleeper, which is next.
void set_alarm_of(int tid) RAMIE_REQUIRES(timers_lock);

// clock_nanosleep(2), where the clock is another hosted thread's; sys::kPassOn for any other clock.
[[nodiscard]] long sleep_on_cpu_clock(const long* a);

// core::SignalHooks::alarm.
void on_cpu_alarm(core::Carrier& carrier);

// On a kernel thread that is no carrier, where one may be due: a carrier sees to it.
void put_off_cpu_alarm();

// Whether there has been one since the last deliver_cpu_alarms().
[[nodiscard]] bool is_cpu_alarm_due();

// What is due by now: signals are sent, sleepers woken.  As deliver_timer_signals().
void deliver_cpu_alarms();

void reset_cpu_timers_after_fork();

}  // namespace ramie::host

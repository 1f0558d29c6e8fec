// The timers of timer_create(2) whose signals come from Ramie and not from the kernel: those for
// one hosted thread, and those on the clock of one.  Between the files of timers only:
// thread_timers.h, cpu_timers.h.
//
// As in the kernel, a timer with an interval stands still from when it has expired until its signal
// is taken; what it has missed is counted then.  Else one with a short interval would do nothing
// but interrupt.
#pragma once

#include <signal.h>
#include <time.h>

#include <atomic>
#include <cstdint>

#include "base/lock.h"

namespace ramie::host {

// `serial` tells who has the place: 0, nobody.  `is_due` says that the kernel's timer has expired;
// anybody sets it, without a lock.
struct ThreadTimer {
  std::atomic<uint32_t> serial = 0;
  std::atomic<bool> is_due = false;
  bool stands_still = false;
  int id = 0;       // the kernel's
  int tid = 0;      // who gets the signal; 0: the process
  int signal = 0;   // 0: none
  int overrun = 0;  // of the last signal that was taken
  sigval value = {};

  clockid_t clock = 0;
  int clock_tid = 0;     // whose processor time that is; 0: it is a clock of the kernel's
  int64_t expires = 0;   // on that clock; 0: it is not set
  int64_t interval = 0;  // 0: it expires once
  int64_t missed = 0;    // expirations of which no signal for the process has told
};

inline constexpr uint32_t kMostTimers = 4096;

// Taken with all signals blocked, before the list of threads is.
extern base::Lock timers_lock;
extern ThreadTimer timers[kMostTimers];

// The used ones are below this.
[[nodiscard]] uint32_t timers_end();

// Null if there is none, or no place.
[[nodiscard]] ThreadTimer* find_timer(long id) RAMIE_REQUIRES(timers_lock);
[[nodiscard]] ThreadTimer* free_timer() RAMIE_REQUIRES(timers_lock);

// The place is the timer's from now on; `serial` is one that no other has had.
[[nodiscard]] uint32_t next_timer_serial() RAMIE_REQUIRES(timers_lock);
void publish_timer(ThreadTimer& timer, uint32_t serial) RAMIE_REQUIRES(timers_lock);

// The timer has expired, and it is `now` on its clock: sends its signal.  It stands still then, or
// goes on to its next time.
void expire_timer(ThreadTimer& timer, int64_t now) RAMIE_REQUIRES(timers_lock);

// How often it has expired by `now`; `expires` goes on to the next time.
[[nodiscard]] int64_t expirations(ThreadTimer& timer, int64_t now) RAMIE_REQUIRES(timers_lock);

// What timer_gettime(2) says at that time.
[[nodiscard]] itimerspec time_left(const ThreadTimer& timer, int64_t now)
    RAMIE_REQUIRES(timers_lock);

void reset_timer_table_after_fork();

}  // namespace ramie::host

#include "interpose/host/timer_table.h"

#include <algorithm>
#include <climits>

#include "base/deadline.h"
#include "base/sys.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/thread.h"

namespace ramie::host {

constinit base::Lock timers_lock;
constinit ThreadTimer timers[kMostTimers] = {};

namespace {

constinit uint32_t next_serial RAMIE_GUARDED_BY(timers_lock) = 1;
constinit std::atomic<uint32_t> used = 0;

// With all signals blocked, so that the kernel's answer is about all of them.
bool is_pending_for_process(int signal) {
  uint64_t pending = 0;
  (void)sys::call(SYS_rt_sigpending, sys::arg(&pending), sizeof pending);
  return (pending & core::signal_bit(signal)) != 0;
}

// True if a hosted thread has it in its queue: note_taken_timer() follows.
bool send(ThreadTimer& timer, int64_t overrun) RAMIE_REQUIRES(timers_lock) {
  siginfo_t info{};
  info.si_signo = timer.signal;
  info.si_code = SI_TIMER;
  info.si_timerid = timer.id;
  info.si_overrun = static_cast<int>(std::min<int64_t>(overrun, INT_MAX));
  info.si_value = timer.value;
  if (timer.tid == 0) {
    timer.overrun = info.si_overrun;
    (void)sys::call(SYS_rt_sigqueueinfo, sys::getpid(), timer.signal, sys::arg(&info));
    return false;
  }
  LiveThreads threads;
  bool is_kept = false;
  if (Thread* thread = LiveThreads::find(timer.tid)) {
    (void)send_to_thread(*thread, timer.signal, info, &is_kept);
  } else if (!is_virtual_tid(timer.tid)) {
    // One of libc's own.
    (void)sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), timer.tid, timer.signal, sys::arg(&info));
  }
  return is_kept;
}

}  // namespace

uint32_t timers_end() { return used.load(std::memory_order_acquire); }

ThreadTimer* find_timer(long id) {
  uint32_t end = timers_end();
  for (uint32_t i = 0; i < end; ++i) {
    if (timers[i].serial.load(std::memory_order_relaxed) != 0 && timers[i].id == id) {
      return &timers[i];
    }
  }
  return nullptr;
}

ThreadTimer* free_timer() {
  for (uint32_t i = 0; i < kMostTimers; ++i) {
    if (timers[i].serial.load(std::memory_order_relaxed) == 0) {
      if (i >= used.load(std::memory_order_relaxed)) {
        used.store(i + 1, std::memory_order_release);
      }
      return &timers[i];
    }
  }
  return nullptr;
}

uint32_t next_timer_serial() { return next_serial++; }

void publish_timer(ThreadTimer& timer, uint32_t serial) {
  timer.stands_still = false;
  timer.overrun = 0;
  timer.expires = 0;
  timer.interval = 0;
  timer.missed = 0;
  timer.is_due.store(false, std::memory_order_relaxed);
  timer.serial.store(serial, std::memory_order_release);  // pairs with on_timer_signal()
}

void expire_timer(ThreadTimer& timer, int64_t now) {
  if (timer.tid != 0) {
    timer.stands_still = send(timer, 0) && timer.interval != 0;
    if (!timer.stands_still) {
      (void)expirations(timer, now);
    }
    return;
  }
  timer.missed += expirations(timer, now);
  // Nobody tells here when that signal is taken, so its successor speaks for all that follow.
  if (timer.interval == 0 || !is_pending_for_process(timer.signal)) {
    (void)send(timer, timer.missed - 1);
    timer.missed = 0;
  }
}

int64_t expirations(ThreadTimer& timer, int64_t now) {
  if (timer.interval == 0) {
    timer.expires = 0;
    return 1;
  }
  if (now < timer.expires) {
    return 1;  // its clock was set back
  }
  int64_t count = (now - timer.expires) / timer.interval + 1;
  timer.expires += count * timer.interval;
  return count;
}

itimerspec time_left(const ThreadTimer& timer, int64_t now) {
  itimerspec left{};
  left.it_interval = base::to_timespec(timer.interval);
  if (timer.expires > now) {
    left.it_value = base::to_timespec(timer.expires - now);
  } else if (timer.expires != 0 && timer.interval != 0) {
    int64_t since = (now - timer.expires) % timer.interval;
    left.it_value = base::to_timespec(timer.interval - since);
  } else if (timer.expires != 0 && timer.signal != 0) {
    left.it_value.tv_nsec = 1;  // as the kernel says of one that is just expiring
  }
  return left;
}

void reset_timer_table_after_fork() {
  timers_lock.reset();
  uint32_t end = timers_end();
  for (uint32_t i = 0; i < end; ++i) {
    timers[i].serial.store(0, std::memory_order_relaxed);
    timers[i].is_due.store(false, std::memory_order_relaxed);
  }
  used.store(0, std::memory_order_relaxed);
}

}  // namespace ramie::host

#include "interpose/host/thread_timers.h"

#include <time.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>

#include "base/deadline.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/scheduler.h"
#include "interpose/host/cpu_clocks.h"
#include "interpose/host/cpu_timers.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/kick.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/thread.h"
#include "interpose/host/timer_table.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

constinit std::atomic<bool> any_due = false;

int64_t clock_now(clockid_t clock) {
  timespec now{};
  (void)sys::call(SYS_clock_gettime, clock, sys::arg(&now));
  return base::to_nanos(now);
}

// False if that is the clock of a thread that has ended.
bool read_clock_of(const ThreadTimer& timer, int64_t& now) {
  if (timer.clock_tid != 0) {
    return read_thread_clock(timer.clock_tid, now);
  }
  now = clock_now(timer.clock);
  return true;
}

// How long the kernel's timer has yet; 0 if it is not set.
int64_t kernels_rest(const ThreadTimer& timer) {
  itimerspec left{};
  (void)sys::call(SYS_timer_gettime, timer.id, sys::arg(&left));
  return base::to_nanos(left.it_value);
}

// To the next time, which is not before `pause` has passed.
void go_on(ThreadTimer& timer, int64_t now, int64_t pause) RAMIE_REQUIRES(timers_lock) {
  if (timer.clock_tid != 0) {
    set_alarm_of(timer.clock_tid);
    return;
  }
  itimerspec when{};
  when.it_value = base::to_timespec(std::max(timer.expires - now, pause));
  (void)sys::call(SYS_timer_settime, timer.id, 0, sys::arg(&when), 0);
}

void expire_kernels(ThreadTimer& timer) RAMIE_REQUIRES(timers_lock) {
  // Else it was set anew, or set back, after it had expired.
  if (timer.expires == 0 || kernels_rest(timer) != 0) {
    return;
  }
  int64_t now = clock_now(timer.clock);
  expire_timer(timer, now);
  if (!timer.stands_still && timer.expires != 0) {
    constexpr int64_t kPause = 1'000'000;
    go_on(timer, now, kPause);  // nobody has got the signal
  }
}

// What timer_gettime(2) says.
itimerspec left_of(const ThreadTimer& timer) RAMIE_REQUIRES(timers_lock) {
  int64_t now = 0;
  if (timer.expires == 0 || !read_clock_of(timer, now)) {
    return {};
  }
  itimerspec left = time_left(timer, now);
  int64_t rest = timer.clock_tid == 0 ? kernels_rest(timer) : 0;
  if (rest != 0) {
    left.it_value = base::to_timespec(rest);
  }
  return left;
}

// 0 or -errno.
long set(ThreadTimer& timer, int flags, const itimerspec& wanted) RAMIE_REQUIRES(timers_lock) {
  int64_t now = 0;
  if (!read_clock_of(timer, now)) {
    return -ESRCH;
  }
  // Before the kernel's is set, which may expire at once.
  timer.is_due.store(false, std::memory_order_relaxed);
  if (timer.clock_tid == 0) {
    itimerspec once{};
    once.it_value = wanted.it_value;
    long result = sys::call(SYS_timer_settime, timer.id, flags, sys::arg(&once), 0);
    if (result != 0) {
      return result;
    }
  }
  int64_t value = base::to_nanos(wanted.it_value);
  bool is_relative = (flags & TIMER_ABSTIME) == 0;
  timer.stands_still = false;
  timer.missed = 0;
  timer.expires = value != 0 && is_relative ? base::Deadline::after(now, value).nanos : value;
  timer.interval = value != 0 ? base::to_nanos(wanted.it_interval) : 0;
  if (timer.clock_tid != 0) {
    follow_cpu_timer(timer, now);
  }
  return 0;
}

}  // namespace

bool is_timer_signal(int signal, const siginfo_t& info) {
  return signal == kKickSignal && info.si_code == SI_TIMER;
}

void on_timer_signal(const siginfo_t& info, core::Fiber* running) {
  auto value = reinterpret_cast<uintptr_t>(info.si_value.sival_ptr);
  ThreadTimer& timer = timers[value % kMostTimers];
  if (timer.serial.load(std::memory_order_acquire) != value / kMostTimers) {
    return;  // it has been deleted since
  }
  timer.is_due.store(true, std::memory_order_release);
  any_due.store(true, std::memory_order_seq_cst);
  if (running != nullptr && running->host != nullptr &&
      running->runtime_depth.load(std::memory_order_relaxed) == 0) {
    WithinRuntime within(*running);
    deliver_timer_signals();
    return;
  }
  if (running != nullptr && running->host != nullptr) {
    running->signal_pending.store(true, std::memory_order_relaxed);  // leave_runtime() looks
  }
  // Whatever this is in the middle of, it may wake nobody.
  if (core::Carrier* first = first_carrier()) {
    core::put_off_signal(*first);
  }
}

void deliver_timer_signals() {
  deliver_cpu_alarms();
  if (!any_due.exchange(false, std::memory_order_seq_cst)) {
    return;
  }
  base::LockGuard guard(timers_lock);
  uint32_t end = timers_end();
  for (uint32_t i = 0; i < end; ++i) {
    if (timers[i].is_due.exchange(false, std::memory_order_acquire)) {
      expire_kernels(timers[i]);
    }
  }
}

void note_taken_timer(siginfo_t& info) {
  base::LockGuard guard(timers_lock);
  ThreadTimer* timer = find_timer(info.si_timerid);
  if (timer == nullptr) {
    return;
  }
  int64_t now = 0;
  if (timer->stands_still && read_clock_of(*timer, now)) {
    timer->stands_still = false;
    int64_t overrun = info.si_overrun + expirations(*timer, now) - 1;
    info.si_overrun = static_cast<int>(std::min<int64_t>(overrun, INT_MAX));
    go_on(*timer, now, 1);
  }
  timer->overrun = info.si_overrun;
}

long timer_create(const long* a) {
  int clock_tid = thread_of_clock(a[0]);
  if (clock_tid >= 0 && (is_virtual_tid(clock_tid) || is_thread_alive(clock_tid))) {
    return create_cpu_timer(a, clock_tid);
  }
  const auto* event = reinterpret_cast<const sigevent*>(a[1]);
  if (event == nullptr || event->sigev_notify != SIGEV_THREAD_ID) {
    return kernel(SYS_timer_create, a);
  }
  int tid = event->_sigev_un._tid;
  if (!is_thread_alive(tid)) {
    return is_virtual_tid(tid) ? -EINVAL : kernel(SYS_timer_create, a);
  }
  if (event->sigev_signo < 1 || event->sigev_signo > kSignals) {
    return -EINVAL;
  }
  AllBlocked block;
  base::LockGuard guard(timers_lock);
  ThreadTimer* timer = free_timer();
  if (timer == nullptr) {
    return -EAGAIN;
  }
  uint32_t serial = next_timer_serial();
  sigevent ours{};
  // Not to the process: the kernel would choose any kernel thread that lets the signal in, also a
  // helper, which has no thread pointer.  The first one is a carrier for good.
  ours.sigev_notify = SIGEV_THREAD_ID;
  ours._sigev_un._tid = sys::getpid();
  ours.sigev_signo = kKickSignal;
  ours.sigev_value.sival_ptr = reinterpret_cast<void*>(
      static_cast<uintptr_t>(serial) * kMostTimers + static_cast<uintptr_t>(timer - timers));
  int id = 0;
  long result = sys::call(SYS_timer_create, a[0], sys::arg(&ours), sys::arg(&id));
  if (result < 0) {
    return result;
  }
  *reinterpret_cast<int*>(a[2]) = id;
  timer->id = id;
  timer->tid = tid;
  timer->signal = event->sigev_signo;
  timer->value = event->sigev_value;
  timer->clock = static_cast<clockid_t>(a[0]);
  timer->clock_tid = 0;
  publish_timer(*timer, serial);
  return 0;
}

long timer_settime(const long* a) {
  AllBlocked block;
  {
    base::LockGuard guard(timers_lock);
    ThreadTimer* timer = find_timer(static_cast<int>(a[0]));
    if (timer == nullptr) {
      return kernel(SYS_timer_settime, a);
    }
    itimerspec wanted;
    if (!ops::copy_in(wanted, a[2]) || (a[3] != 0 && !ops::looks_mapped(a[3]))) {
      return -EFAULT;
    }
    if (!base::is_valid(wanted.it_value) || !base::is_valid(wanted.it_interval)) {
      return -EINVAL;
    }
    itimerspec before = left_of(*timer);
    if (long result = set(*timer, static_cast<int>(a[1]), wanted); result != 0) {
      return result;
    }
    if (a[3] != 0) {
      ops::copy_out(a[3], before);
    }
  }
  if (core::current() != nullptr) {
    deliver_timer_signals();  // it may have expired already
  } else {
    put_off_cpu_alarm();
  }
  return 0;
}

long timer_gettime(const long* a) {
  AllBlocked block;
  base::LockGuard guard(timers_lock);
  const ThreadTimer* timer = find_timer(static_cast<int>(a[0]));
  if (timer == nullptr) {
    return kernel(SYS_timer_gettime, a);
  }
  if (!ops::looks_mapped(a[1])) {
    return -EFAULT;
  }
  ops::copy_out(a[1], left_of(*timer));
  return 0;
}

long timer_delete(const long* a) {
  AllBlocked block;
  base::LockGuard guard(timers_lock);
  if (ThreadTimer* timer = find_timer(static_cast<int>(a[0]))) {
    timer->serial.store(0, std::memory_order_relaxed);
    if (timer->clock_tid != 0) {
      set_alarm_of(timer->clock_tid);
    }
  }
  return kernel(SYS_timer_delete, a);
}

long timer_getoverrun(const long* a) {
  AllBlocked block;
  base::LockGuard guard(timers_lock);
  const ThreadTimer* timer = find_timer(static_cast<int>(a[0]));
  return timer != nullptr ? timer->overrun : kernel(SYS_timer_getoverrun, a);
}

void reset_timers_after_fork() {
  reset_timer_table_after_fork();
  reset_cpu_timers_after_fork();
}

}  // namespace ramie::host

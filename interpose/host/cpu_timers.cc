#include "interpose/host/cpu_timers.h"

#include <signal.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/deadline.h"
#include "base/intrusive_list.h"
#include "base/sys.h"
#include "core/cpu_clock.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "core/watchdog.h"
#include "interpose/host/cpu_clocks.h"
#include "interpose/host/entry.h"
#include "interpose/host/kick.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/thread.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

struct Sleeper : base::ListLink {
  int tid = 0;  // whose clock it is
  int64_t until = 0;
  core::Ticket ticket;
};

constinit base::IntrusiveList<Sleeper> sleepers RAMIE_GUARDED_BY(timers_lock);
constinit std::atomic<bool> any_alarm = false;

// Whether the timer will do something as its thread's clock goes on.
bool is_ticking(const ThreadTimer& timer) {
  return timer.serial.load(std::memory_order_relaxed) != 0 && timer.clock_tid != 0 &&
         timer.signal != 0 && timer.expires != 0 && !timer.stands_still;
}

void wake_sleepers() RAMIE_REQUIRES(timers_lock) {
  for (Sleeper* sleeper = sleepers.front(); sleeper != nullptr;) {
    Sleeper& one = *sleeper;
    sleeper = sleepers.next(sleeper);
    int64_t now = 0;
    if (read_thread_clock(one.tid, now) && now >= one.until) {
      sleepers.remove(&one);
      int tid = one.tid;
      (void)core::unpark(one.ticket);  // from here on it may be gone
      set_alarm_of(tid);
    }
  }
}

// 0 or -errno: whether the timer may tell of its expirations so.
long check(const sigevent& event) {
  int how = event.sigev_notify;
  if (how != SIGEV_NONE && (event.sigev_signo < 1 || event.sigev_signo > kSignals)) {
    return -EINVAL;
  }
  int tid = event._sigev_un._tid;
  bool is_known = how == SIGEV_NONE || how == SIGEV_SIGNAL || how == SIGEV_THREAD;
  bool is_for_thread =
      how == SIGEV_THREAD_ID &&
      (is_thread_alive(tid) ||
       (!is_virtual_tid(tid) && sys::call(SYS_tgkill, sys::getpid(), tid, 0) == 0));
  return is_known || is_for_thread ? 0 : -EINVAL;
}

}  // namespace

long create_cpu_timer(const long* a, int tid) {
  sigevent event{};
  event.sigev_notify = SIGEV_SIGNAL;
  event.sigev_signo = SIGALRM;
  if ((a[1] != 0 && !ops::copy_in(event, a[1])) || !ops::looks_mapped(a[2])) {
    return -EFAULT;
  }
  if (long result = check(event); result != 0) {
    return result;
  }
  if (!is_thread_alive(tid)) {
    return -EINVAL;
  }
  AllBlocked block;
  base::LockGuard guard(timers_lock);
  ThreadTimer* timer = free_timer();
  if (timer == nullptr) {
    return -EAGAIN;
  }
  // One of the kernel's that is never set: for its id, which no other timer has.
  sigevent silent{};
  silent.sigev_notify = SIGEV_NONE;
  int id = 0;
  long result = sys::call(SYS_timer_create, CLOCK_MONOTONIC, sys::arg(&silent), sys::arg(&id));
  if (result < 0) {
    return result;
  }
  ops::copy_out(a[2], id);
  if (a[1] == 0) {
    event.sigev_value.sival_int = id;
  }
  timer->id = id;
  timer->tid = event.sigev_notify == SIGEV_THREAD_ID ? event._sigev_un._tid : 0;
  timer->signal = event.sigev_notify == SIGEV_NONE ? 0 : event.sigev_signo;
  timer->value = event.sigev_value;
  timer->clock_tid = tid;
  publish_timer(*timer, next_timer_serial());
  return 0;
}

void follow_cpu_timer(const ThreadTimer& timer, int64_t now) {
  set_alarm_of(timer.clock_tid);
  core::look_now();  // the watchdog may be about to sleep for longer
  if (is_ticking(timer) && timer.expires <= now) {
    any_alarm.store(true, std::memory_order_seq_cst);
  }
}

void set_alarm_of(int tid) {
  int64_t next = core::kNoAlarm;
  uint32_t end = timers_end();
  for (uint32_t i = 0; i < end; ++i) {
    if (timers[i].clock_tid == tid && is_ticking(timers[i])) {
      next = std::min(next, timers[i].expires);
    }
  }
  for (Sleeper* sleeper = sleepers.front(); sleeper != nullptr; sleeper = sleepers.next(sleeper)) {
    if (sleeper->tid == tid) {
      next = std::min(next, sleeper->until);
    }
  }
  LiveThreads threads;
  if (Thread* thread = LiveThreads::find(tid)) {
    core::set_cpu_alarm(*thread->fiber, next);
  }
}

long sleep_on_cpu_clock(const long* a) {
  Thread* self = current_thread();
  int tid = self != nullptr ? thread_of_clock(a[0]) : -1;
  int64_t now = 0;
  if (tid < 0 || tid == self->tid || !read_thread_clock(tid, now)) {
    // The kernel refuses one's own, and knows no other.
    return tid >= 0 && (is_virtual_tid(tid) || tid == self->tid) ? -EINVAL : sys::kPassOn;
  }
  timespec wanted;
  if (!ops::copy_in(wanted, a[2])) {
    return -EFAULT;
  }
  if (!base::is_valid(wanted)) {
    return -EINVAL;
  }
  bool is_absolute = (a[1] & TIMER_ABSTIME) != 0;
  int64_t span = base::to_nanos(wanted);
  Sleeper sleeper;
  sleeper.tid = tid;
  sleeper.until = is_absolute ? span : base::Deadline::after(now, span).nanos;
  if (sleeper.until <= now) {
    return 0;
  }
  sleeper.ticket = core::prepare_park();
  {
    AllBlocked block;
    base::LockGuard guard(timers_lock);
    sleepers.push_back(&sleeper);
    set_alarm_of(tid);
  }
  core::look_now();
  core::Wake how = core::park({core::WaitKind::sleep, 0});
  if (how == core::Wake::unparked) {
    return 0;
  }
  AllBlocked block;
  base::LockGuard guard(timers_lock);
  if (sleeper.linked()) {
    sleepers.remove(&sleeper);
    set_alarm_of(tid);
  }
  if (!is_absolute && a[3] != 0 && ops::looks_mapped(a[3])) {
    (void)read_thread_clock(tid, now);
    ops::copy_out(a[3], base::to_timespec(std::max<int64_t>(sleeper.until - now, 0)));
  }
  return -EINTR;
}

void on_cpu_alarm(core::Carrier& carrier) {
  any_alarm.store(true, std::memory_order_seq_cst);
  core::put_off_signal(carrier);
  if (carrier.kernel_tid != sys::gettid()) {
    kick(carrier);
  }
}

void put_off_cpu_alarm() {
  core::Carrier* first = is_cpu_alarm_due() ? first_carrier() : nullptr;
  if (first != nullptr) {
    on_cpu_alarm(*first);
  }
}

bool is_cpu_alarm_due() { return any_alarm.load(std::memory_order_relaxed); }

void deliver_cpu_alarms() {
  if (!any_alarm.exchange(false, std::memory_order_seq_cst)) {
    return;
  }
  base::LockGuard guard(timers_lock);
  uint32_t end = timers_end();
  for (uint32_t i = 0; i < end; ++i) {
    ThreadTimer& timer = timers[i];
    int64_t now = 0;
    if (is_ticking(timer) && read_thread_clock(timer.clock_tid, now) && now >= timer.expires) {
      expire_timer(timer, now);
      set_alarm_of(timer.clock_tid);
    }
  }
  wake_sleepers();
}

void reset_cpu_timers_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  any_alarm.store(false, std::memory_order_relaxed);
  while (sleepers.pop_front() != nullptr) {
  }
}

}  // namespace ramie::host

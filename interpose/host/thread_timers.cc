#include "interpose/host/thread_timers.h"

#include <time.h>

#include <atomic>
#include <cerrno>

#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/scheduler.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/kick.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

constexpr uint32_t kMost = 4096;

// `serial` tells who has the place: 0, nobody.  `due` is how often the timer has expired since its
// thread was told; anybody adds to it, without a lock.
struct ThreadTimer {
  std::atomic<uint32_t> serial = 0;
  std::atomic<uint32_t> due = 0;
  int id = 0;  // the kernel's
  int tid = 0;
  int signal = 0;
  int overrun = 0;  // of the last signal that was taken
  sigval value = {};
};

// Taken with all signals blocked.
constinit base::Lock lock;
constinit ThreadTimer timers[kMost] = {};
constinit uint32_t next_serial RAMIE_GUARDED_BY(lock) = 1;
constinit std::atomic<uint32_t> used = 0;  // places below this have been used
constinit std::atomic<bool> any_due = false;

ThreadTimer* find(int id) RAMIE_REQUIRES(lock) {
  uint32_t end = used.load(std::memory_order_relaxed);
  for (uint32_t i = 0; i < end; ++i) {
    if (timers[i].serial.load(std::memory_order_relaxed) != 0 && timers[i].id == id) {
      return &timers[i];
    }
  }
  return nullptr;
}

ThreadTimer* free_place() RAMIE_REQUIRES(lock) {
  for (uint32_t i = 0; i < kMost; ++i) {
    if (timers[i].serial.load(std::memory_order_relaxed) == 0) {
      if (i >= used.load(std::memory_order_relaxed)) {
        used.store(i + 1, std::memory_order_release);
      }
      return &timers[i];
    }
  }
  return nullptr;
}

void deliver(ThreadTimer& timer) RAMIE_REQUIRES(lock) {
  uint32_t times = timer.due.exchange(0, std::memory_order_acq_rel);
  LiveThreads threads;
  Thread* thread = LiveThreads::find(timer.tid);
  if (times == 0 || thread == nullptr || timer.serial.load(std::memory_order_relaxed) == 0) {
    return;
  }
  siginfo_t info{};
  info.si_signo = timer.signal;
  info.si_code = SI_TIMER;
  info.si_timerid = timer.id;
  info.si_overrun = static_cast<int>(times - 1);
  info.si_value = timer.value;
  (void)send_to_thread(*thread, timer.signal, info);
}

}  // namespace

bool is_timer_signal(int signal, const siginfo_t& info) {
  return signal == kKickSignal && info.si_code == SI_TIMER;
}

void on_timer_signal(const siginfo_t& info, core::Fiber* running) {
  auto value = reinterpret_cast<uintptr_t>(info.si_value.sival_ptr);
  ThreadTimer& timer = timers[value % kMost];
  if (timer.serial.load(std::memory_order_acquire) != value / kMost) {
    return;  // it has been deleted since
  }
  timer.due.fetch_add(1 + static_cast<uint32_t>(info.si_overrun), std::memory_order_acq_rel);
  any_due.store(true, std::memory_order_seq_cst);
  if (running != nullptr && running->host != nullptr &&
      running->runtime_depth.load(std::memory_order_relaxed) == 0) {
    deliver_timer_signals();
    return;
  }
  if (running != nullptr && running->host != nullptr) {
    running->signal_pending.store(true, std::memory_order_relaxed);  // leave_runtime() looks
  }
  // Whatever this is in the middle of, it may wake nobody.  A carrier that stands by has no turns.
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    if (carrier->kernel_tid == sys::getpid()) {
      core::put_off_signal(*carrier);
    }
  }
}

void deliver_timer_signals() {
  if (!any_due.exchange(false, std::memory_order_seq_cst)) {
    return;
  }
  base::LockGuard guard(lock);
  uint32_t end = used.load(std::memory_order_acquire);
  for (uint32_t i = 0; i < end; ++i) {
    if (timers[i].due.load(std::memory_order_relaxed) != 0) {
      deliver(timers[i]);
    }
  }
}

void note_taken_timer(const siginfo_t& info) {
  base::LockGuard guard(lock);
  if (ThreadTimer* timer = find(info.si_timerid)) {
    timer->overrun = info.si_overrun;
  }
}

long timer_create(const long* a) {
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
  base::LockGuard guard(lock);
  ThreadTimer* timer = free_place();
  if (timer == nullptr) {
    return -EAGAIN;
  }
  uint32_t serial = next_serial++;
  sigevent ours{};
  // Not to the process: the kernel would choose any kernel thread that lets the signal in, also a
  // helper, which has no thread pointer.  The first one is a carrier for good.
  ours.sigev_notify = SIGEV_THREAD_ID;
  ours._sigev_un._tid = sys::getpid();
  ours.sigev_signo = kKickSignal;
  ours.sigev_value.sival_ptr = reinterpret_cast<void*>(static_cast<uintptr_t>(serial) * kMost +
                                                       static_cast<uintptr_t>(timer - timers));
  int id = 0;
  long result = sys::call(SYS_timer_create, a[0], sys::arg(&ours), sys::arg(&id));
  if (result < 0) {
    return result;
  }
  *reinterpret_cast<int*>(a[2]) = id;
  timer->id = id;
  timer->tid = tid;
  timer->signal = event->sigev_signo;
  timer->overrun = 0;
  timer->value = event->sigev_value;
  timer->due.store(0, std::memory_order_relaxed);
  timer->serial.store(serial, std::memory_order_release);  // pairs with on_timer_signal()
  return 0;
}

long timer_delete(const long* a) {
  AllBlocked block;
  base::LockGuard guard(lock);
  if (ThreadTimer* timer = find(static_cast<int>(a[0]))) {
    timer->serial.store(0, std::memory_order_relaxed);
    timer->due.store(0, std::memory_order_relaxed);
  }
  return kernel(SYS_timer_delete, a);
}

long timer_getoverrun(const long* a) {
  AllBlocked block;
  base::LockGuard guard(lock);
  const ThreadTimer* timer = find(static_cast<int>(a[0]));
  return timer != nullptr ? timer->overrun : kernel(SYS_timer_getoverrun, a);
}

void reset_timers_after_fork() {
  lock.reset();
  for (uint32_t i = 0; i < used.load(std::memory_order_relaxed); ++i) {
    timers[i].serial.store(0, std::memory_order_relaxed);
    timers[i].due.store(0, std::memory_order_relaxed);
  }
  used.store(0, std::memory_order_relaxed);
}

}  // namespace ramie::host

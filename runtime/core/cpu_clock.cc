#include "core/cpu_clock.h"

#include <time.h>

#include "base/backoff.h"
#include "base/deadline.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/scheduler.h"
#include "core/thread_activity.h"

namespace ramie::core {
namespace {

constinit base::Lock starting;
constinit std::atomic<uint32_t> alarms = 0;  // fibers that have one

// Whose clock runs while the fiber does.
Fiber& payer_of(Carrier& carrier, Fiber& fiber) {
  return fiber.kind == FiberKind::light ? carrier.thread : fiber;
}

void add(Fiber& fiber, int64_t nanos) {
  // No read-modify-write: only the carrier that runs it writes.
  fiber.wait->cpu_time.store(fiber.wait->cpu_time.load(std::memory_order_relaxed) + nanos,
                             std::memory_order_relaxed);
}

void start_clocks() {
  if (cpu_clocks_run.load(std::memory_order_acquire)) {
    return;
  }
  base::LockGuard guard(starting);
  if (cpu_clocks_run.load(std::memory_order_relaxed)) {
    return;
  }
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (!carrier->gone.load(std::memory_order_acquire)) {
      carrier->cpu_account.since.store(cpu_time(carrier->kernel_tid), std::memory_order_relaxed);
    }
  }
  cpu_clocks_run.store(true, std::memory_order_release);  // pairs with leave()
}

// One look at a carrier.  False if it is just changing who pays.  Else `runs` says whether that is
// the fiber, and `nanos` is then its time.
bool look_at(const Carrier& carrier, const Fiber& fiber, bool& runs, int64_t& nanos) {
  const CpuAccount& account = carrier.cpu_account;
  uint32_t version = account.version.load(std::memory_order_acquire);  // pairs with charge()
  if ((version & 1) != 0) {
    return false;
  }
  const Fiber* charged = account.charged.load(std::memory_order_relaxed);
  runs = (charged != nullptr ? charged : carrier.current.load()) == &fiber;
  if (!runs) {
    return true;
  }
  nanos = fiber.wait->cpu_time.load(std::memory_order_relaxed) -
          account.since.load(std::memory_order_relaxed) + cpu_time(carrier.kernel_tid);
  // Pairs with the fence in charge().  The kernel reads the clock of a running thread under a lock
  // that charge()'s own reading takes too: one that is later than that sees the odd version.
  std::atomic_thread_fence(std::memory_order_acquire);
  return account.version.load(std::memory_order_relaxed) == version &&
         (charged != nullptr || carrier.current.load() == &fiber);
}

// True if the fiber runs there; `nanos` is its time.
bool read_running(const Carrier& carrier, const Fiber& fiber, int64_t& nanos) {
  bool runs = false;
  // A change takes a system call, unless that carrier is held up.
  for (base::Backoff backoff; !look_at(carrier, fiber, runs, nanos);) {
    backoff.wait();
  }
  return runs;
}

}  // namespace

constinit std::atomic<bool> cpu_clocks_run = false;

int64_t own_cpu_time() {
  timespec time{};
  (void)sys::call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, sys::arg(&time));
  return base::to_nanos(time);
}

Fiber& charge(Carrier& carrier, Fiber& from, Fiber& to) {
  CpuAccount& account = carrier.cpu_account;
  uint32_t version = account.version.load(std::memory_order_relaxed);
  account.version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  int64_t now = own_cpu_time();
  Fiber& payer = payer_of(carrier, from);
  add(payer, now - account.since.load(std::memory_order_relaxed));
  account.since.store(now, std::memory_order_relaxed);
  account.charged.store(&payer_of(carrier, to), std::memory_order_relaxed);
  account.version.store(version + 2, std::memory_order_release);
  if (payer.wait->cpu_time.load(std::memory_order_relaxed) >=
      payer.wait->cpu_alarm.load(std::memory_order_relaxed)) {
    signal_hooks().alarm(carrier);
    carrier.turn_ends.store(0, std::memory_order_relaxed);  // the loop sees to it
  }
  return to;
}

int64_t cpu_time_of(Fiber& fiber) {
  start_clocks();
  Fiber* self = current();
  // A light one asks for itself, and is there.
  const Fiber& payer = self != nullptr ? payer_of(*self->carrier, fiber) : fiber;
  if (self != nullptr && &payer == &payer_of(*self->carrier, *self)) {
    return payer.wait->cpu_time.load(std::memory_order_relaxed) + own_cpu_time() -
           self->carrier->cpu_account.since.load(std::memory_order_relaxed);
  }
  int64_t nanos = 0;
  for (const Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (!carrier->gone.load(std::memory_order_acquire) && read_running(*carrier, payer, nanos)) {
      return nanos;
    }
  }
  // It runs nowhere, or has moved meanwhile: what it was charged when it left is no less than what
  // anybody has read of it before.
  return payer.wait->cpu_time.load(std::memory_order_relaxed);
}

void set_cpu_time(Fiber& fiber, int64_t nanos) {
  fiber.wait->cpu_time.store(nanos, std::memory_order_relaxed);
}

void set_cpu_alarm(Fiber& fiber, int64_t nanos) {
  int64_t before = fiber.wait->cpu_alarm.exchange(nanos, std::memory_order_relaxed);
  if (before == kNoAlarm && nanos != kNoAlarm) {
    alarms.fetch_add(1, std::memory_order_seq_cst);
  } else if (before != kNoAlarm && nanos == kNoAlarm) {
    alarms.fetch_sub(1, std::memory_order_relaxed);
  }
}

bool is_cpu_alarm_set() { return alarms.load(std::memory_order_seq_cst) != 0; }

int64_t nanos_to_alarm(const Carrier& carrier) {
  const Fiber* charged = carrier.cpu_account.charged.load(std::memory_order_relaxed);
  const Fiber* runs = charged != nullptr ? charged : carrier.current.load();
  if (runs->kind == FiberKind::light) {
    return kNoAlarm;  // it may end, and has none of its own
  }
  int64_t at = runs->wait->cpu_alarm.load(std::memory_order_relaxed);
  bool still_runs = false;
  int64_t nanos = 0;
  if (at == kNoAlarm || !look_at(carrier, *runs, still_runs, nanos) || !still_runs) {
    return kNoAlarm;  // a switch away from it sees to its alarm
  }
  return at > nanos ? at - nanos : 0;
}

void begin_cpu_account(Carrier& carrier) {
  int64_t used = cpu_clocks_run.load(std::memory_order_relaxed) ? own_cpu_time() : 0;
  carrier.cpu_account.charged.store(nullptr, std::memory_order_relaxed);
  carrier.cpu_account.since.store(used, std::memory_order_relaxed);
}

void reset_cpu_clocks_after_fork(Carrier& carrier) {
  starting.reset();
  cpu_clocks_run.store(false, std::memory_order_relaxed);
  alarms.store(0, std::memory_order_relaxed);
  payer_of(carrier, *current()).wait->cpu_alarm.store(kNoAlarm, std::memory_order_relaxed);
  carrier.cpu_account.version.store(0, std::memory_order_relaxed);
  carrier.cpu_account.charged.store(nullptr, std::memory_order_relaxed);
  carrier.cpu_account.since.store(0, std::memory_order_relaxed);
}

}  // namespace ramie::core

#include "core/cpu_clock.h"

#include <time.h>

#include "base/deadline.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/scheduler.h"
#include "core/thread_activity.h"

namespace ramie::core {
namespace {

constinit base::Lock starting;

// Whose clock runs while the fiber does.
Fiber& payer_of(Carrier& carrier, Fiber& fiber) {
  return fiber.kind == FiberKind::light ? carrier.thread : fiber;
}

void add(Fiber& fiber, int64_t nanos) {
  // No read-modify-write: only the carrier that runs it writes.
  fiber.cpu_time.store(fiber.cpu_time.load(std::memory_order_relaxed) + nanos,
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

// Looks at one carrier.  True if the fiber ran there all the while; `nanos` is its time then.
bool read_running(const Carrier& carrier, const Fiber& fiber, int64_t& nanos) {
  const CpuAccount& account = carrier.cpu_account;
  for (;;) {
    uint32_t version = account.version.load(std::memory_order_acquire);  // pairs with charge()
    if ((version & 1) != 0) {
      (void)sys::call(SYS_sched_yield);  // it takes a system call, unless that carrier is held up
      continue;
    }
    const Fiber* charged = account.charged.load(std::memory_order_relaxed);
    const Fiber* runs = charged != nullptr ? charged : carrier.current.load();
    if (runs != &fiber) {
      return false;
    }
    nanos = fiber.cpu_time.load(std::memory_order_relaxed) -
            account.since.load(std::memory_order_relaxed) + cpu_time(carrier.kernel_tid);
    // Pairs with the fence in charge().  The kernel reads the clock of a running thread under a
    // lock that charge()'s own reading takes too: one that is later than that sees the odd version.
    std::atomic_thread_fence(std::memory_order_acquire);
    if (account.version.load(std::memory_order_relaxed) == version &&
        (charged != nullptr || carrier.current.load() == &fiber)) {
      return true;
    }
  }
}

}  // namespace

constinit std::atomic<bool> cpu_clocks_run = false;

int64_t own_cpu_time() {
  timespec time{};
  (void)sys::call(SYS_clock_gettime, CLOCK_THREAD_CPUTIME_ID, sys::arg(&time));
  return base::to_nanos(time);
}

void charge(Carrier& carrier, Fiber& from, Fiber& to) {
  CpuAccount& account = carrier.cpu_account;
  uint32_t version = account.version.load(std::memory_order_relaxed);
  account.version.store(version + 1, std::memory_order_relaxed);
  std::atomic_thread_fence(std::memory_order_release);
  int64_t now = own_cpu_time();
  add(payer_of(carrier, from), now - account.since.load(std::memory_order_relaxed));
  account.since.store(now, std::memory_order_relaxed);
  account.charged.store(&payer_of(carrier, to), std::memory_order_relaxed);
  account.version.store(version + 2, std::memory_order_release);
}

int64_t cpu_time_of(Fiber& fiber) {
  start_clocks();
  Fiber& self = *current();
  Carrier& here = *self.carrier;
  const Fiber& payer = payer_of(here, fiber);
  if (&payer == &payer_of(here, self)) {
    return payer.cpu_time.load(std::memory_order_relaxed) + own_cpu_time() -
           here.cpu_account.since.load(std::memory_order_relaxed);
  }
  int64_t nanos = 0;
  for (const Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (!carrier->gone.load(std::memory_order_acquire) && read_running(*carrier, payer, nanos)) {
      return nanos;
    }
  }
  // It runs nowhere, or has moved meanwhile: what it was charged when it left is no less than what
  // anybody has read of it before.
  return payer.cpu_time.load(std::memory_order_relaxed);
}

void set_cpu_time(Fiber& fiber, int64_t nanos) {
  fiber.cpu_time.store(nanos, std::memory_order_relaxed);
}

void begin_cpu_account(Carrier& carrier) {
  int64_t used = cpu_clocks_run.load(std::memory_order_relaxed) ? own_cpu_time() : 0;
  carrier.cpu_account.charged.store(nullptr, std::memory_order_relaxed);
  carrier.cpu_account.since.store(used, std::memory_order_relaxed);
}

void reset_cpu_clocks_after_fork(Carrier& carrier) {
  starting.reset();
  cpu_clocks_run.store(false, std::memory_order_relaxed);
  carrier.cpu_account.version.store(0, std::memory_order_relaxed);
  carrier.cpu_account.charged.store(nullptr, std::memory_order_relaxed);
  carrier.cpu_account.since.store(0, std::memory_order_relaxed);
}

}  // namespace ramie::core

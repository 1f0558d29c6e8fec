#include "core/errand.h"

#include "base/futex.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/watchdog.h"

namespace ramie::core {
namespace {

// A thread that somebody wants to be started from here.
struct Errand {
  KernelThread* thread = nullptr;
  int result = 0;
  std::atomic<uint32_t> done = 0;
};
constinit std::atomic<Errand*> errand = nullptr;
constinit base::Lock asking;
constinit std::atomic<uint64_t> credentials = 0;  // as Carrier::credentials

constexpr int64_t kPatience = 1'000'000;

}  // namespace

void run_errand() {
  Errand* wanted = errand.exchange(nullptr, std::memory_order_acq_rel);
  if (wanted == nullptr) {
    return;
  }
  if (signal_hooks().follow != nullptr) {
    signal_hooks().follow(credentials);
  }
  wanted->result = start_kernel_thread(*wanted->thread);
  wanted->done.store(1, std::memory_order_release);
  base::futex_wake(wanted->done, 1);
}

int start_by_watchdog(KernelThread& wanted) {
  if (!is_watchdog_there() || sys::gettid() == watchdog_tid()) {
    return start_kernel_thread(wanted);
  }
  base::LockGuard guard(asking);
  Errand mine;
  mine.thread = &wanted;
  errand.store(&mine, std::memory_order_release);
  while (mine.done.load(std::memory_order_acquire) == 0) {
    look_now();
    // The watchdog may have been on its way to sleep.
    base::futex_wait(mine.done, 0, base::Deadline::after(base::now(), kPatience));
  }
  return mine.result;
}

void reset_errands_after_fork() {
  asking.reset();
  errand.store(nullptr, std::memory_order_relaxed);
  credentials.store(0, std::memory_order_relaxed);
}

}  // namespace ramie::core

// <ramie/carriers.h>: the kernel threads that serve as workers are libc's, made by its own
// pthread_create whatever stands before that name.
#include <pthread.h>
#include <ramie.h>
#include <ramie/carriers.h>
#include <sys/prctl.h>

#include <algorithm>

#include "base/config.h"
#include "base/log.h"
#include "base/processors.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/sanitizer.h"
#include "core/workers.h"
#include "runtime.h"

namespace ramie {
namespace {

using Create = int (*)(pthread_t*, const pthread_attr_t*, void* (*)(void*), void*);

constexpr char kName[] = "ramie-carrier";

void* work(void*) {
  (void)sys::call(SYS_prctl, PR_SET_NAME, sys::arg(kName));
  (void)runtime::start();
  core::serve_as_worker();
}

// A sanitizer has to hear of each thread, and clang's stands in the program itself.
Create libc_create() {
  return core::kIsSanitized ? pthread_create
                            : reinterpret_cast<Create>(ramie_original("pthread_create"));
}

bool start_one() {
  Create create = libc_create();
  pthread_t thread;
  return create != nullptr && create(&thread, nullptr, work, nullptr) == 0;
}

bool is_hosting() { return core::signal_hooks().leave != nullptr; }

}  // namespace

unsigned use_carriers(unsigned count) noexcept {
  if (count == 0) {
    count = base::config().carriers != 0 ? base::config().carriers : base::usable_processors();
  }
  count = std::min(count, base::kMostProcessors);
  if (is_hosting()) {
    base::log_line(base::LogLevel::warn,
                   "use_carriers() has no effect: the program's threads are "
                   "fibers, and light ones stay on the first");
    return 1;
  }
  uint32_t there = core::workers_started.load(std::memory_order_relaxed);
  while (count > 1 && there < count) {
    if (!core::workers_started.compare_exchange_weak(there, there + 1, std::memory_order_relaxed)) {
      continue;
    }
    if (!start_one()) {
      core::workers_started.fetch_sub(1, std::memory_order_relaxed);
      base::log_line(base::LogLevel::warn, "use_carriers(): no more than ", there,
                     " kernel threads can be made");
      break;
    }
    core::workers_serve.store(true, std::memory_order_relaxed);
    ++there;
  }
  return carriers();
}

unsigned carriers() noexcept {
  return std::max(1U, core::workers_started.load(std::memory_order_relaxed));
}

}  // namespace ramie

unsigned ramie_use_carriers(unsigned count) { return ramie::use_carriers(count); }

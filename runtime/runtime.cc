#include "runtime.h"

#include <pthread.h>

#include <atomic>

#include "base/check.h"
#include "base/format.h"
#include "core/fault.h"
#include "core/scheduler.h"
#include "core/stack.h"
#include "event/deadlock.h"
#include "event/reactor.h"
#include "sync/parking_lot.h"

namespace ramie::runtime {
namespace {

constinit std::atomic<bool> is_set_up = false;

void describe_current(char* buffer, size_t size) {
  base::Line<128> line;
  const core::Fiber* fiber = core::current();
  if (fiber == nullptr) {
    line << "a thread without fibers";
  } else {
    line << "fiber " << fiber->id << " \"" << fiber->name << "\", wait "
         << static_cast<int>(fiber->reason.kind);
  }
  size_t n = line.view().size() < size - 1 ? line.view().size() : size - 1;
  memcpy(buffer, line.view().data(), n);
  buffer[n] = '\0';
}

bool describe_overflow(uintptr_t address, core::fault::Overflow& out) {
  const core::Fiber* fiber = core::fiber_of_guard(address);
  if (fiber == nullptr) {
    return false;
  }
  out = {fiber->id, fiber->name, fiber->stack.size, false};
  return true;
}

constinit const core::fault::Hooks kFaultHooks{describe_overflow, nullptr, nullptr};

// In a fork's child whose parent ran light fibers: the calling one goes on alone.
void go_on_after_fork() {
  if (core::current() != nullptr) {
    core::reset_after_fork();
    sync::reset_after_fork();
    event::reset_after_fork();
  }
}

void set_up() {
  base::set_describe_current(describe_current);
  core::fault::set_hooks(&kFaultHooks);
  RAMIE_CHECK(core::fault::install() == 0);
  event::install_deadlock_report();
  (void)pthread_atfork(nullptr, nullptr, go_on_after_fork);
}

}  // namespace

core::Carrier& start() {
  if (core::Fiber* fiber = core::current()) {
    return *fiber->carrier;
  }
  if (!is_set_up.exchange(true, std::memory_order_acq_rel)) {
    set_up();
  }
  core::Carrier& carrier = core::attach();
  RAMIE_CHECK(core::fault::start_thread(carrier.fault) == 0);
  return carrier;
}

void reset_after_fork() {
  core::Carrier& carrier = *core::current()->carrier;
  core::reset_after_fork();
  sync::reset_after_fork();
  event::reset_after_fork();
  core::fault::stop_thread(carrier.fault);
  core::fault::uninstall();
  core::detach_after_fork();
  is_set_up.store(false, std::memory_order_relaxed);
}

}  // namespace ramie::runtime

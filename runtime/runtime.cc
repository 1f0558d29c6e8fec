#include "runtime.h"

#include <pthread.h>

#include <atomic>
#include <cstring>

#include "api/join.h"
#include "base/check.h"
#include "base/format.h"
#include "base/sys.h"
#include "core/fault.h"
#include "core/observer.h"
#include "core/scheduler.h"
#include "core/stack.h"
#include "event/deadlock.h"
#include "event/reactor.h"
#include "sync/parking_lot.h"

// libc's own way to run something at the end of a thread, as thread_local destructors are run.
extern "C" int __cxa_thread_atexit_impl(void (*function)(void*), void* argument, void* library);
extern "C" [[gnu::visibility("hidden")]] void* __dso_handle;

namespace ramie::runtime {
namespace {

constinit std::atomic<bool> is_set_up = false;

// How many forks are under way, as those see it that registered a handler.  In the child, until its
// handler has run or the shim has forgotten everything at the fork itself.
constinit std::atomic<unsigned> forks = 0;

void describe_current(char* buffer, size_t size) {
  base::Line<128> line;
  const core::Fiber* fiber = core::current();
  if (fiber == nullptr) {
    line << "a thread without fibers";
  } else {
    line << "fiber " << fiber->id << " \"" << fiber->name << "\", wait "
         << static_cast<int>(fiber->wait->reason.kind);
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

// In a fork's child: the calling fiber goes on alone, or none if the thread that forked had none;
// forgetting is done on a fiber.
void forget_others() {
  bool is_carrier = core::current() != nullptr;
  core::Fiber& self = is_carrier ? *core::current() : core::attach().thread;
  core::reset_after_fork();
  sync::reset_after_fork();
  event::reset_after_fork();
  detail::forget_joiners(self);
  if (!is_carrier) {
    core::detach_after_fork();
  }
}

// In the child of a process that ran light fibers.  Nothing is locked before a fork: handlers that
// other libraries have registered run with it, and might wait for one who waits for the lock.
void go_on_after_fork() {
  if (forks.exchange(0, std::memory_order_relaxed) == 0) {
    return;  // forgotten already; a handler that ran before may have begun anew
  }
  core::reset_light_stacks_after_fork();
  forget_others();
}

void note_forks() {
  static constinit std::atomic<bool> notes = false;
  if (notes.exchange(true, std::memory_order_relaxed)) {
    return;  // in a fork's child
  }
  (void)pthread_atfork([] { forks.fetch_add(1, std::memory_order_relaxed); },
                       [] { forks.fetch_sub(1, std::memory_order_relaxed); }, go_on_after_fork);
}

void set_up() {
  base::set_describe_current(describe_current);
  core::fault::set_hooks(&kFaultHooks);
  RAMIE_CHECK(core::fault::install() == 0);
  event::install_deadlock_report();
  core::start_observer();
  note_forks();
}

void end_thread(void* argument) {
  auto* carrier = static_cast<core::Carrier*>(argument);
  if (core::current() == &carrier->thread) {
    core::fault::stop_thread(carrier->fault);
    core::retire();
  }
}

}  // namespace

core::Carrier& start_on_thread() {
  if (!is_set_up.exchange(true, std::memory_order_acq_rel)) {
    set_up();
  }
  core::Carrier& carrier = core::attach();
  RAMIE_CHECK(core::fault::start_thread(carrier.fault) == 0);
  if (carrier.kernel_tid != sys::getpid()) {  // the first thread's end is the process's
    (void)__cxa_thread_atexit_impl(end_thread, &carrier, &__dso_handle);
  }
  return carrier;
}

void reset_after_fork() {
  forks.store(0, std::memory_order_relaxed);
  core::Fiber* self = core::current();
  forget_others();
  if (self != nullptr) {
    core::fault::stop_thread(self->carrier->fault);
    core::detach_after_fork();
  }
  core::fault::uninstall();
  is_set_up.store(false, std::memory_order_relaxed);
}

}  // namespace ramie::runtime

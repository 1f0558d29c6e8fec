#include "interpose/host/binding.h"

#include <sys/syscall.h>

#include <cerrno>

#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/crew.h"
#include "core/light_home.h"
#include "core/spread.h"
#include "core/tls_choice.h"
#include "core/watchdog.h"
#include "interpose/host/attributes.h"
#include "interpose/host/kick.h"
#include "interpose/host/names.h"

namespace ramie::host {
namespace {

using core::Carrier;
using core::Role;

// Who binds a thread, or looks whether one is bound, holds it; nobody switches with it.
constinit base::Lock lock;

// Whether any thread was ever bound, or is about to be.  A thread that ends says so and then reads
// this; who binds one writes this and then reads whether it ends: sequentially consistent, so one
// of the two sees the other.
constinit std::atomic<bool> binds = false;

long make(const Change& change, int kernel_tid) {
  if (change.number == Change::kNoCall) {
    return 0;
  }
  long a[6];
  for (int i = 0; i < 6; ++i) {
    a[i] = change.arguments[i];
  }
  a[change.which] = kernel_tid;
  return sys::call(change.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

// Each kind of change is told of once.
void tell(const Thread& thread, const char* what) {
  static constinit std::atomic<const char*> told[16] = {};
  for (std::atomic<const char*>& one : told) {
    const char* none = nullptr;
    if (one.compare_exchange_strong(none, what, std::memory_order_relaxed)) {
      base::log_line(base::LogLevel::info, "thread ", thread.tid,
                     " has a kernel thread of its own from here on: ", what);
      return;
    }
    if (none == what) {
      return;
    }
  }
}

long without_effect(const char* why) {
  base::log_line(base::LogLevel::warn, "scheduling of one thread has no effect: ", why);
  return 0;
}

// The crew's own may be the one that is to be changed, so the watchdog stands for them.
bool is_as_crew(int kernel_tid) {
  return attributes_of(kernel_tid) == attributes_of(core::watchdog_tid());
}

// Whether the thread can't be run on any kernel thread that is as this one.
bool needs_own(const Thread& thread, int kernel_tid) {
  return thread.families_off.load(std::memory_order_relaxed) != 0 ||
         thread.has_kernel_state.load(std::memory_order_relaxed) || !is_as_crew(kernel_tid);
}

// The thread finds its home by itself: when it next leaves the runtime, or, if it computes, when it
// is kicked (signal_delivery.cc).  The barrier as in reach().
void send_home(Thread& thread) {
  core::Fiber& fiber = *thread.fiber;
  fiber.signal_pending.store(true, std::memory_order_seq_cst);
  constexpr long kPrivateExpedited = 1 << 3;
  (void)sys::call(SYS_membarrier, kPrivateExpedited, 0, 0);
  const Carrier* carrier = fiber.carrier;
  if (carrier != nullptr && carrier->kernel_tid != sys::gettid() &&
      carrier->current.load(std::memory_order_acquire) == &fiber) {
    kick(*carrier);
  }
}

// With the lock held, on a thread that is bound.
long change_bound(const Carrier& home, const Change& change) {
  return make(change, home.kernel_tid);
}

long change_other_than_first(Thread& thread, int tid, const Change& change) {
  Carrier* apart = core::start_apart(core::Heir::of_crew);
  if (apart == nullptr) {
    return without_effect("no kernel thread can be made");
  }
  long result = -ESRCH;
  bool is_bound = false;
  {
    base::LockGuard guard(lock);
    if (!thread.ends.load(std::memory_order_seq_cst) && thread.tid == tid) {
      if (Carrier* home = core::home_apart(*thread.fiber)) {
        result = change_bound(*home, change);  // somebody else was first
      } else {
        result = make(change, apart->kernel_tid);
        is_bound = result == 0 && needs_own(thread, apart->kernel_tid);
      }
      if (is_bound) {
        thread.fiber->home.store(apart, std::memory_order_seq_cst);
      }
    }
  }
  if (!is_bound) {
    core::end_apart(*apart);
    return result;
  }
  tell(thread, change.what);
  show_name(apart->kernel_tid, thread.fiber->name);
  if (&thread == current_thread()) {
    core::go_home();
  } else {
    send_home(thread);
  }
  return result;
}

// The first thread, which calls, is bound to the process's first kernel thread.
long change_first_itself(Thread& first, const Change& change) {
  Carrier& carrier = core::bring_first_home();
  base::LockGuard guard(lock);
  bool was_in_crew = carrier.role.load(std::memory_order_relaxed) != Role::apart;
  if (was_in_crew && !core::leave_crew(carrier)) {
    return without_effect("no kernel thread can be made");
  }
  core::AsUsual while_changed(carrier);
  long result = make(change, carrier.kernel_tid);
  if (result == 0 ? !needs_own(first, carrier.kernel_tid) : was_in_crew) {
    core::join_crew(carrier);
    core::release_first(carrier);
  } else if (was_in_crew) {
    tell(first, change.what);
  }
  return result;
}

// The same by another thread.  The carrier leaves the crew when its loop has its next turn.
long change_first(Thread& first, const Change& change) {
  Carrier& carrier = core::first_carrier();
  base::LockGuard guard(lock);
  base::LockGuard until_it_leaves(core::moving);
  core::AsUsual while_changed(carrier);
  long result = make(change, carrier.kernel_tid);
  if (result != 0 || carrier.role.load(std::memory_order_relaxed) != Role::crew ||
      !needs_own(first, carrier.kernel_tid)) {
    return result;
  }
  first.fiber->home.store(&carrier, std::memory_order_seq_cst);
  carrier.role.store(Role::leaving, std::memory_order_seq_cst);
  core::wake(carrier);
  send_home(first);
  tell(first, change.what);
  return result;
}

}  // namespace

long change_thread(Thread& thread, int tid, const Change& change) {
  {
    core::AsUsual while_it_answers;
    if (asks_for_what_is(change.number, change.arguments, kernel_tid_of(thread))) {
      return 0;
    }
  }
  binds.store(true, std::memory_order_seq_cst);
  bool is_caller = &thread == current_thread();
  if (&thread == first_thread()) {
    if (is_caller) {
      return change_first_itself(thread, change);
    }
    long result = change_first(thread, change);
    core::leave_alone(core::first_carrier());
    return result;
  }
  bool is_free_again = false;
  {
    base::LockGuard guard(lock);
    const Carrier* home = core::home_apart(*thread.fiber);
    if (home != nullptr && thread.tid == tid && !thread.ends.load(std::memory_order_seq_cst)) {
      long result = change_bound(*home, change);
      is_free_again =
          result == 0 && is_caller && !home->has_submitted && !needs_own(thread, home->kernel_tid);
      if (!is_free_again) {
        return result;
      }
    }
  }
  if (is_free_again) {
    core::go_home();  // so that it is there that it leaves
    if (!core::has_children()) {
      core::leave_home();
    }
    return 0;
  }
  return change_other_than_first(thread, tid, change);
}

int kernel_tid_of(const Thread& thread) {
  base::LockGuard guard(lock);
  const Carrier* home = core::home_apart(*thread.fiber);
  return home != nullptr ? home->kernel_tid : core::tid_in_crew();
}

int own_kernel_tid(const Thread& thread, int tid) {
  if (&thread == first_thread()) {
    return thread.tid;
  }
  base::LockGuard guard(lock);
  if (thread.tid != tid || thread.ends.load(std::memory_order_seq_cst)) {
    return 0;
  }
  const Carrier* home = core::home_apart(*thread.fiber);
  return home != nullptr ? home->kernel_tid : 0;
}

bool is_on_own_kernel_thread(const Thread& thread) {
  const Carrier* home = core::home_apart(*thread.fiber);
  return home != nullptr && home == thread.fiber->carrier;
}

Carrier* bequeath(Thread& parent) {
  if (core::home_apart(*parent.fiber) == nullptr) {
    return nullptr;
  }
  core::go_home();  // else it would hand on what another kernel thread has
  Carrier* apart = core::start_apart(core::Heir::of_caller);
  if (apart == nullptr) {
    base::log_line(base::LogLevel::warn,
                   "a thread doesn't inherit how it is run: no kernel thread can be made");
    return nullptr;
  }
  if (resets_on_fork() && !needs_own(parent, apart->kernel_tid)) {
    core::end_apart(*apart);
    return nullptr;
  }
  tell(parent, "so have those that it starts");
  return apart;
}

bool has_own_filter(const Thread& parent) {
  return core::home_apart(*parent.fiber) != nullptr && core::tls::is_filtered_by_program();
}

void release_binding(Thread& thread) {
  thread.ends.store(true, std::memory_order_seq_cst);
  if (!binds.load(std::memory_order_seq_cst) || &thread == first_thread()) {
    return;
  }
  base::LockGuard guard(lock);
  if (Carrier* home = core::home_apart(*thread.fiber)) {
    core::end_apart(*home);
  }
}

bool is_away_from_home(const core::Fiber& fiber) {
  const Carrier* home = fiber.home.load(std::memory_order_relaxed);
  return home != nullptr && home != fiber.carrier;
}

void reset_bindings_after_fork() { lock.reset(); }

}  // namespace ramie::host

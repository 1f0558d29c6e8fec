// Processes: fork(2), exec, the end of the process.
#include <linux/sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include <cerrno>

#include "base/sys.h"
#include "core/carrier.h"
#include "core/fault.h"
#include "core/scheduler.h"
#include "core/stack.h"
#include "event/section.h"
#include "interpose/host/binding.h"
#include "interpose/host/entry.h"
#include "interpose/host/futex.h"
#include "interpose/host/handlers.h"
#include "interpose/host/hosting.h"
#include "interpose/host/kick.h"
#include "interpose/host/names.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/stack_map.h"
#include "interpose/host/thread.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/patch/entry.h"
#include "runtime.h"

namespace ramie::host {
namespace {

// The child has one thread, the calling one, as POSIX says; so it starts inert.  Its text stays
// patched, with the way into the table closed; the next pthread_create opens it again.
void forget_hosting() {
  ramie_patch_active.store(0, std::memory_order_relaxed);
  reset_threads_after_fork();
  reset_signals_after_fork();
  reset_clones_after_fork();
  reset_kicks_after_fork();
  reset_bindings_after_fork();
  reset_hosting_after_fork();
  runtime::reset_after_fork();
}

// On a fiber, the kernel has had the carrier's name, alternate stack and mask until now.
void become_single_threaded(core::Fiber& fiber, Thread& thread, const ThreadName& name) {
  core::tls::after_fork(fiber.carrier->cpu);
  thread.pending.store(0, std::memory_order_relaxed);  // it was sent to the parent's thread
  thread.queue = nullptr;
  forget_hosting();
  (void)sys::call(SYS_prctl, PR_SET_NAME, sys::arg(name.text));
  stack_t alternate{};
  alternate.ss_sp = reinterpret_cast<void*>(thread.alternate_stack.base);
  alternate.ss_size = thread.alternate_stack.size;
  alternate.ss_flags = thread.alternate_stack.size == 0 ? SS_DISABLE : 0;
  sys::call(SYS_sigaltstack, sys::arg(&alternate));
  uint64_t mask = thread.blocked.load(std::memory_order_relaxed);
  sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
}

// What the child gets, it shares with us.
long clone_process(const long* a) {
  core::keep_as_usual();
  ops::blocking_sockets::note_sharing();
  long result = kernel(SYS_clone, a);
  ops::blocking_sockets::note_sharing();
  return result;
}

// What the child goes on with is whole in its copy, while other carriers run.  In the child, the
// list of threads stays locked.
long clone_whole(const long* a) {
  lock_threads_for_fork();
  lock_stacks_for_fork();
  core::lock_light_stacks_for_fork();
  lock_actions_for_fork();
  long result = clone_process(a);
  unlock_actions_after_fork();
  core::unlock_light_stacks_after_fork();
  unlock_stacks_after_fork();
  if (result != 0) {
    unlock_threads_after_fork();
  }
  return result;
}

// On a kernel thread that runs no fiber, a native one or libc's.
long clone_beside_fibers(const long* a) {
  event::Section section;
  long result = clone_whole(a);
  if (result == 0) {
    core::tls::after_fork();
    forget_hosting();
  }
  return result;
}

}  // namespace

// A fork, made by _Fork or by number: the child goes on on a copy of this very stack.
long clone(const long* a) {
  core::Fiber* fiber = core::current();
  Thread* thread = current_thread();
  if (fiber == nullptr && (a[0] & CLONE_VM) == 0) {
    return clone_beside_fibers(a);
  }
  if (fiber == nullptr || thread == nullptr) {
    return clone_process(a);
  }
  ThreadName name = name_of(*thread);
  show_mask_to_kernel(*thread);
  core::tls::make_real(fiber->carrier->cpu);
  long result = clone_whole(a);
  if (result == 0) {
    become_single_threaded(*fiber, *thread, name);
  } else {
    core::tls::make_trapped(fiber->carrier->cpu);
  }
  return result;
}

long fork(const long*) {
  const long no_more_than_fork[6] = {SIGCHLD, 0, 0, 0, 0, 0};
  return clone(no_more_than_fork);
}

long execve(const long* a) {
  if (Thread* thread = current_thread()) {
    show_mask_to_kernel(*thread);
    core::keep_as_usual();
  }
  return kernel(SYS_execve, a);
}

long execveat(const long* a) {
  if (Thread* thread = current_thread()) {
    show_mask_to_kernel(*thread);
    core::keep_as_usual();
  }
  return kernel(SYS_execveat, a);
}

long exit_process(const long* a) {
  write_audit();
  write_stats();
  event::Section section;
  release_all_robust_locks();
  return kernel(SYS_exit_group, a);
}

}  // namespace ramie::host

// Threads begin and end here: clone3(2) as pthread_create makes it, and exit(2).
//
// glibc's clone3 function (since 2.34) comes to its system call with the new thread's start routine
// in rdx and that one's argument in r8; the child would return 0 on its own stack and call them.
// Here the fiber starts with that call.
#include <linux/sched.h>
#include <sched.h>

#include <cerrno>
#include <climits>

#include "base/log.h"
#include "base/sys.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "interpose/host/binding.h"
#include "interpose/host/futex.h"
#include "interpose/host/handlers.h"
#include "interpose/host/hosting.h"
#include "interpose/host/kick.h"
#include "interpose/host/lend.h"
#include "interpose/host/names.h"
#include "interpose/host/native_threads.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/stack_map.h"
#include "interpose/host/thread.h"
#include "interpose/ops/blocking_sockets.h"

namespace ramie::host {
namespace {

constinit std::atomic<int> live = 1;  // threads that have not ended

// What a thread runs lies at the end of its stack.
struct Task {
  void* (*start)(void*);
  void* argument;
};

Task* task_on(const core::Stack& stack) {
  // Keeps what the ABI wants of the first frame's alignment.
  return reinterpret_cast<Task*>(reinterpret_cast<uintptr_t>(stack.top()) & ~15UL) - 1;
}

void run_thread(core::Fiber& fiber) {
  const Task task = *task_on(fiber.stack);
  task.start(task.argument);
  const long status[6] = {};
  core::RuntimeSection section(fiber);  // as around any other operation
  exit_thread(status);
}

// On another stack: nobody uses the ended thread's any more, and its joiner may have it.
void bury(void* argument) {
  auto* thread = static_cast<Thread*>(argument);
  int* cleared = thread->clear_child_tid;
  if (thread == first_thread()) {
    if (cleared != nullptr) {
      __atomic_store_n(cleared, 0, __ATOMIC_SEQ_CST);
      wake_address(cleared, INT_MAX);
    }
    return;  // its fiber is the carrier's own
  }
  thread->own.sanitizer.destroy();
  free_thread(thread);
  if (cleared != nullptr) {
    __atomic_store_n(cleared, 0, __ATOMIC_SEQ_CST);
    wake_address(cleared, INT_MAX);
  }
}

long start_hosted_thread(const clone_args& args, void* (*start)(void*), void* argument) {
  Thread* creator = current_thread();
  core::Carrier* home = creator != nullptr ? bequeath(*creator) : nullptr;
  if (home == nullptr && creator != nullptr && has_own_filter(*creator)) {
    return -EAGAIN;  // the crew's kernel threads don't have it
  }
  Thread* thread = allocate_thread();
  if (thread == nullptr) {
    static constinit std::atomic<bool> said = false;
    base::log_once(said, base::LogLevel::warn, "no room for another thread");
    if (home != nullptr) {
      core::end_apart(*home);
    }
    return -EAGAIN;
  }
  thread->credentials = last_change_of_credentials();
  core::Fiber& fiber = *thread->fiber;
  core::Fiber& parent = *core::current();
  auto end = args.stack + args.stack_size;
  if ((args.flags & CLONE_CHILD_CLEARTID) != 0) {
    thread->clear_child_tid = reinterpret_cast<int*>(args.child_tid);
  }
  if (creator != nullptr) {
    thread->blocked = creator->blocked.load(std::memory_order_relaxed);
    ThreadName name;
    (void)find_name(creator->tid, name);
    __builtin_memcpy(fiber.name, name.text, sizeof fiber.name);
    thread->families_off.store(creator->families_off.load(std::memory_order_relaxed),
                               std::memory_order_relaxed);
    thread->has_kernel_state.store(creator->has_kernel_state.load(std::memory_order_relaxed),
                                   std::memory_order_relaxed);
  }
  fiber.signal_mask = parent.signal_mask;
  fiber.fs_base = args.tls;
  fiber.carrier = parent.carrier;
  fiber.home.store(home, std::memory_order_relaxed);
  fiber.entry = run_thread;
  fiber.stack = {reinterpret_cast<char*>(args.stack), args.stack_size};
  Task* task = task_on(fiber.stack);
  *task = {start, argument};
  fiber.context = core::make_context(task, args.stack_size, core::fiber_main);
  core::set_first(args.tls, &fiber);
  note_stack_end(end);
  forget_native_id(reinterpret_cast<const void*>(args.child_tid));
  int tid = thread->tid;
  if ((args.flags & CLONE_PARENT_SETTID) != 0) {
    *reinterpret_cast<int*>(args.parent_tid) = tid;
  }
  if ((args.flags & CLONE_CHILD_SETTID) != 0) {
    *reinterpret_cast<int*>(args.child_tid) = tid;
  }
  note_masks_changed();
  live.fetch_add(1, std::memory_order_relaxed);
  core::make_ready(fiber);
  return tid;
}

long start_thread(const clone_args& args, void* (*start)(void*), void* argument) {
  if (is_native_thread_ahead()) {
    live.fetch_add(1, std::memory_order_relaxed);
    long result = start_native_thread(args, start, argument);
    if (!sys::failed(result)) {
      return result;
    }
    live.fetch_sub(1, std::memory_order_relaxed);
    if (is_native_thread()) {
      return result;  // it has no carrier for a fiber
    }
    base::log_line(base::LogLevel::warn, "RAMIE_NATIVE: a thread can't be the kernel's (error ",
                   -result, ")");
  }
  return start_hosted_thread(args, start, argument);
}

}  // namespace

long clone3(const long* a) {
  const auto& args = *reinterpret_cast<const clone_args*>(a[0]);
  constexpr uint64_t kThread = CLONE_VM | CLONE_THREAD | CLONE_SETTLS;
  if ((args.flags & kThread) == kThread && args.stack != 0) {
    return start_thread(args, reinterpret_cast<void* (*)(void*)>(a[2]),
                        reinterpret_cast<void*>(a[4]));
  }
  Thread* thread = current_thread();
  ops::blocking_sockets::note_sharing();
  if ((args.flags & CLONE_VM) != 0 && thread != nullptr) {
    start_lending(*thread);  // posix_spawn; the child is made by clone, to which glibc falls back
  } else if (thread != nullptr) {
    static constinit std::atomic<bool> said = false;
    base::log_once(said, base::LogLevel::info, "clone3 by the program itself is answered ENOSYS");
  }
  return -ENOSYS;
}

long exit_thread(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr) {
    return is_native_thread() ? end_native_thread(a[0]) : sys::call(SYS_exit, a[0]);
  }
  if (live.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    write_audit();
    write_stats();
    return sys::call(SYS_exit_group, a[0]);
  }
  thread->fiber->wait->reason = {core::WaitKind::exited, 0};
  take_no_signals(*thread);
  release_robust_locks(*thread);
  release_binding(*thread);
  core::exit_current({bury, thread});
}

long end_native_thread(long status) {
  if (live.fetch_sub(1, std::memory_order_acq_rel) == 1) {
    write_audit();
    write_stats();
    return sys::call(SYS_exit_group, status);
  }
  return sys::call(SYS_exit, status);
}

void reset_clones_after_fork() { live.store(1, std::memory_order_relaxed); }

}  // namespace ramie::host

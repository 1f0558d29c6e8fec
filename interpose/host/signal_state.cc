#include "interpose/host/signal_state.h"

#include <signal.h>
#include <time.h>

#include <cerrno>

#include "base/lock.h"
#include "base/proc_files.h"
#include "base/sys.h"
#include "core/fault.h"
#include "core/program_action.h"
#include "core/stack.h"
#include "interpose/host/kick.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/signalfds.h"
#include "interpose/host/thread.h"
#include "interpose/host/user_dispatch.h"

namespace ramie::host {
namespace {

using core::signal_bit;
using core::SignalAction;

// Written inside the runtime or with all signals blocked, under the lock.  The kernel's action is
// changed under it too.
constinit core::ProgramAction actions[kSignals + 1];
constinit base::Lock actions_lock;

long install(int signal, const SignalAction& action) {
  if (is_dispatch_signal(signal)) {
    return 0;
  }
  if (!action.has_handler()) {
    return core::kernel_sigaction(signal, &action, nullptr);
  }
  constexpr unsigned long kKept = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESTART;
  SignalAction ours{reinterpret_cast<uintptr_t>(&handle_signal),
                    (action.flags & kKept) | SA_SIGINFO | SA_ONSTACK | core::kSaRestorer,
                    core::signal_restorer(), blockable(kAllSignals)};
  return core::kernel_sigaction(signal, &ours, nullptr);
}

// What was sent to this thread alone, while it was the only one, the kernel has for its kernel
// thread, where it is not found from another carrier.
void take_over_pending(Thread& first) {
  char text[4096];
  uint64_t pending = 0;
  while (base::find_signals(base::read_file("/proc/thread-self/status", text, sizeof text),
                            "SigPnd:\t", pending) &&
         (pending &= first.blocked.load()) != 0) {
    for (; pending != 0; pending &= pending - 1) {
      uint64_t one = pending & -pending;
      timespec at_once{};
      siginfo_t info;
      long signal = sys::call(SYS_rt_sigtimedwait, sys::arg(&one), sys::arg(&info),
                              sys::arg(&at_once), sizeof one);
      if (sys::failed(signal) || add_own(first, info) < 0) {
        return;
      }
    }
  }
}

}  // namespace

void take_over_signals(Thread& first) {
  core::Carrier& carrier = *first.fiber->carrier;
  uint64_t mask = 0;
  SignalAction of_kicks;
  core::kernel_sigaction(kKickSignal, nullptr, &of_kicks);
  actions[kKickSignal].store(of_kicks);
  sys::call(SYS_rt_sigprocmask, SIG_BLOCK, 0, sys::arg(&mask), sizeof mask);
  mask |= carrier.fault.mask & signal_bit(SIGSEGV);  // which is let in since
  first.blocked = mask;
  first.fiber->signal_mask = blockable(mask);
  carrier.kernel_mask = first.fiber->signal_mask;
  // Light fibers that are there already share the thread's mask.  Until now nobody had to know it.
  core::for_each_light_fiber(
      [](core::Fiber& fiber, void* shared) { fiber.signal_mask = *static_cast<uint64_t*>(shared); },
      &first.fiber->signal_mask);
  core::set_signal_hooks(&mask_hooks());
  constexpr long kRegisterPrivateExpedited = 1 << 4;
  (void)sys::call(SYS_membarrier, kRegisterPrivateExpedited, 0, 0);
  (void)install(kKickSignal, SignalAction{reinterpret_cast<uintptr_t>(&handle_signal), SA_RESTART});
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP || signal == kKickSignal ||
        core::fault::owns(signal)) {
      continue;
    }
    SignalAction action;
    core::kernel_sigaction(signal, nullptr, &action);
    actions[signal].store(action);
    if (action.has_handler()) {
      (void)install(signal, action);
    }
  }
  take_over_pending(first);
  show_to_signalfd(&first, signals_looked_for());
}

void reset_signals_after_fork() {
  reset_delivery_after_fork();
  reset_masks_after_fork();
  for (int signal = 1; signal <= kSignals; ++signal) {
    SignalAction action = actions[signal].load();
    if (action.has_handler() || is_dispatch_signal(signal)) {
      core::kernel_sigaction(signal, &action, nullptr);
    }
  }
  reset_user_dispatch_after_fork();
}

SignalAction program_action(int signal) {
  return core::fault::owns(signal) ? core::fault::application_action(signal)
                                   : actions[signal].load();
}

bool reset_program_action(int signal, const SignalAction& action) {
  if (core::fault::owns(signal)) {
    SignalAction standard = action;
    standard.handler = 0;
    (void)core::fault::set_application_action(signal, standard);
    return true;
  }
  base::LockGuard guard(actions_lock);
  SignalAction standard = actions[signal].load();
  if (standard != action) {
    return false;
  }
  standard.handler = 0;  // the rest stays, as in the kernel
  (void)install(signal, standard);
  actions[signal].store(standard);
  return true;
}

long set_program_action(int signal, const SignalAction& action, SignalAction& before) {
  if (core::fault::owns(signal)) {
    before = core::fault::set_application_action(signal, action);
    return 0;
  }
  base::LockGuard guard(actions_lock);
  before = actions[signal].load();
  // Our handler finds a handler of the program at all times, or the kernel doesn't call it.
  if (action.has_handler()) {
    actions[signal].store(action);
  }
  long result = install(signal, action);
  actions[signal].store(result < 0 ? before : action);
  return result;
}

void lock_actions_for_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS { actions_lock.lock(); }

void unlock_actions_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS { actions_lock.unlock(); }

}  // namespace ramie::host

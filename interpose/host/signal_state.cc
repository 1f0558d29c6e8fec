#include "interpose/host/signal_state.h"

#include <signal.h>

#include "base/lock.h"
#include "base/sys.h"
#include "core/fault.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

using core::signal_bit;
using core::SignalAction;

constexpr int kSignals = 64;
constexpr uint64_t kAll = ~0UL & ~signal_bit(SIGKILL) & ~signal_bit(SIGSTOP);
// glibc's own two, for cancellation and setuid.  Its functions never block them for the program,
// only for itself, with everything else, for a moment.
constexpr uint64_t kInternal = signal_bit(32) | signal_bit(33);

// Written inside the runtime, where our handler doesn't look at them.
constinit SignalAction actions[kSignals + 1];
constinit base::Lock actions_lock;

// A signal for the process that arrived while another thread ran, with what came along with it,
// until the first thread takes it.  Written with all signals blocked.
constinit siginfo_t first_infos[kSignals + 1] = {};
constexpr int kFirstRealTime = 32;

// Signals that are kept back for a fiber which hasn't taken them yet, so the idle carrier must not
// let them in.
constinit uint64_t kept_back = 0;

// What every thread blocks, and whether a mask has changed since that was found.
constinit uint64_t blocked_by_all = 0;
constinit bool masks_changed = true;

uint64_t blockable(uint64_t mask) { return core::fault::blockable(mask & kAll); }

long set_kernel_mask(core::Carrier& carrier, uint64_t mask) {
  carrier.kernel_mask = mask;
  return sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
}

bool is_fault(int signal, const siginfo_t& info) {
  return info.si_code > 0 &&
         (signal == SIGBUS || signal == SIGILL || signal == SIGFPE || signal == SIGTRAP);
}

// Keeps the signal in the kernel, blocked, siginfo and all (see the header).
void put_off(core::Carrier& carrier, int signal, const siginfo_t& info, ucontext_t& context) {
  sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), sys::gettid(), signal, sys::arg(&info));
  carrier.kernel_mask = blockable(kAll);
  core::set_context_mask(context, carrier.kernel_mask);
}

// A fiber whose call is made elsewhere takes no signal until that call ends.
bool is_offloaded(const core::Fiber& fiber) { return fiber.reason.kind == core::WaitKind::offload; }

// The kernel gives a signal that is meant for the process to its first thread, if that one doesn't
// block it; programs rely on it (python's main thread wakes up for Ctrl-C).  True: it will get this
// one.  Faults and SIGPIPE are of the thread that caused them.  Real-time signals queue up, and
// stay with the thread at which they arrived.
bool leave_to_first_thread(const core::Fiber& running, int signal, const siginfo_t& info) {
  Thread* first = first_thread();
  if (first == nullptr || first->fiber == &running || signal >= kFirstRealTime ||
      info.si_code == SI_TKILL || signal == SIGPIPE || is_fault(signal, info) ||
      (first->blocked & signal_bit(signal)) != 0 || is_offloaded(*first->fiber)) {
    return false;
  }
  first_infos[signal] = info;
  first->pending.fetch_or(signal_bit(signal), std::memory_order_relaxed);
  first->fiber->signal_pending.store(true, std::memory_order_release);
  core::interrupt(*first->fiber);
  return true;
}

void call_in_place(const SignalAction& action, int signal, siginfo_t* info, ucontext_t& context) {
  uint64_t mask = core::context_mask(context) | action.mask;
  if ((action.flags & SA_NODEFER) == 0) {
    mask |= signal_bit(signal);
  }
  sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
  reinterpret_cast<void (*)(int, siginfo_t*, void*)>(action.handler)(signal, info, &context);
}

// Hands the thread's own signals outside of `mask` to the kernel, which delivers them as soon as it
// lets them in.
void raise_own(Thread& thread, uint64_t mask) {
  for (;;) {
    uint64_t deliverable = thread.pending.load(std::memory_order_relaxed) & ~mask;
    if (deliverable == 0) {
      return;
    }
    int signal = __builtin_ctzl(deliverable) + 1;
    thread.pending.fetch_and(~signal_bit(signal), std::memory_order_relaxed);
    if (&thread == first_thread() && first_infos[signal].si_signo == signal) {
      siginfo_t info = first_infos[signal];
      first_infos[signal].si_signo = 0;
      sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), sys::gettid(), signal, sys::arg(&info));
    } else {
      sys::call(SYS_tgkill, sys::getpid(), sys::gettid(), signal);
    }
  }
}

// rt_sigreturn will set the mask that the frame holds; what we know of it must follow.
extern "C" [[gnu::visibility("hidden")]] void ramie_leave_handler(ucontext_t* context) {
  core::Fiber* fiber = core::current();
  if (fiber == nullptr) {
    return;  // a fork's child: the kernel's mask is all there is
  }
  uint64_t mask = core::context_mask(*context);
  if (auto* thread = static_cast<Thread*>(fiber->host)) {
    raise_own(*thread, mask);  // what the handler blocked comes right after it
    thread->blocked = mask;
    masks_changed = true;
  }
  fiber->signal_mask = blockable(mask);
  fiber->carrier->kernel_mask = fiber->signal_mask;
  core::set_context_mask(*context, fiber->signal_mask);
}

// signal_return.S: where a handler returns to.
extern "C" [[gnu::visibility("hidden")]] void ramie_sigreturn();

void run_on_fiber(core::Fiber& fiber, Thread* thread, int signal, const siginfo_t& info,
                  ucontext_t& context, SignalAction action) {
  if ((action.flags & SA_RESETHAND) != 0) {
    SignalAction standard;
    core::kernel_sigaction(signal, &standard, nullptr);
    actions[signal] = standard;
  }
  uint64_t before = thread != nullptr ? thread->blocked : core::context_mask(context);
  uint64_t during = before | action.mask;
  if ((action.flags & SA_NODEFER) == 0) {
    during |= signal_bit(signal);
  }
  core::set_context_mask(context, before);
  action.restorer = reinterpret_cast<uintptr_t>(&ramie_sigreturn);
  core::AlternateStack alternate;
  if (thread != nullptr) {
    alternate = thread->alternate_stack;
    thread->blocked = during;
    masks_changed = true;
    if ((action.flags & SA_RESTART) == 0) {
      ++thread->interruptions;
    }
  }
  fiber.signal_mask = blockable(during);
  fiber.carrier->kernel_mask = fiber.signal_mask;
  core::push_signal_frame(context, signal, info, action, alternate, fiber.signal_mask);
}

void handle(int signal, siginfo_t* info, void* raw_context) {
  auto& context = *static_cast<ucontext_t*>(raw_context);
  core::Fiber* fiber = core::current();
  if (fiber == nullptr) {
    SignalAction action = actions[signal];
    if (action.has_handler()) {
      call_in_place(action, signal, info, context);
    }
    return;
  }
  auto* thread = static_cast<Thread*>(fiber->host);
  core::Carrier& carrier = *fiber->carrier;
  bool in_runtime = fiber->runtime_depth.load(std::memory_order_relaxed) > 0;
  bool blocked = thread != nullptr && (thread->blocked & signal_bit(signal)) != 0;
  if ((in_runtime || blocked) && !is_fault(signal, *info)) {
    put_off(carrier, signal, *info, context);
    if (blocked && !in_runtime) {
      fiber->signal_mask = carrier.kernel_mask;  // it stays out until the program unblocks it
    } else {
      core::put_off_signal(carrier);
    }
    return;
  }
  SignalAction action = actions[signal];
  if (action.has_handler() && !leave_to_first_thread(*fiber, signal, *info)) {
    run_on_fiber(*fiber, thread, signal, *info, context, action);
  }
}

// On arrival: blocks more, lets nothing new in.  That is for the end of the section.
void block_more(core::Carrier& carrier, core::Fiber& arrived) {
  set_kernel_mask(carrier, carrier.kernel_mask | arrived.signal_mask);
}

void leave_runtime(core::Fiber& fiber) {
  if (fiber.carrier->kernel_mask != fiber.signal_mask) {
    kept_back = 0;
    set_kernel_mask(*fiber.carrier, fiber.signal_mask);
  }
  auto* thread = static_cast<Thread*>(fiber.host);
  if (thread != nullptr && fiber.signal_pending.load(std::memory_order_relaxed)) {
    fiber.signal_pending.store(false, std::memory_order_relaxed);
    raise_own(*thread, thread->blocked);
  }
}

struct Search {
  uint64_t signals;
  Thread* found;
};

void consider(Thread& thread, void* argument) {
  auto& wanted = *static_cast<Search*>(argument);
  if ((wanted.signals & ~thread.blocked) != 0 &&
      (wanted.found == nullptr || is_offloaded(*wanted.found->fiber))) {
    wanted.found = &thread;
  }
}

// The thread that shall take one of the signals: the first one by preference, as in the kernel.
Thread* find_taker(uint64_t signals) {
  Search search{signals, nullptr};
  if (Thread* first = first_thread()) {
    consider(*first, &search);
  }
  if (signals != 0 && (search.found == nullptr || is_offloaded(*search.found->fiber))) {
    for_each_thread(consider, &search);
  }
  return search.found;
}

uint64_t find_blocked_by_all() {
  if (masks_changed) {
    masks_changed = false;
    blocked_by_all = kAll;
    for_each_thread([](Thread& thread, void*) { blocked_by_all &= thread.blocked; }, nullptr);
  }
  return blocked_by_all;
}

void idle(core::Carrier& carrier, bool signal_put_off) {
  if (signal_put_off) {
    uint64_t pending = 0;
    sys::call(SYS_rt_sigpending, sys::arg(&pending), sizeof pending);
    Thread* taker = find_taker(pending);
    kept_back = taker != nullptr ? pending : 0;
    if (taker != nullptr) {
      core::interrupt(*taker->fiber);
    }
    return;
  }
  // The fiber that ran last may block what another thread would take.
  Thread* first = first_thread();
  uint64_t wanted = blockable(first != nullptr ? first->blocked : 0);
  if ((carrier.kernel_mask & wanted) != 0) {
    wanted &= find_blocked_by_all();
  }
  wanted = carrier.kernel_mask & (wanted | kept_back);
  if (wanted != carrier.kernel_mask) {
    set_kernel_mask(carrier, wanted);
  }
}

constinit const core::SignalHooks kHooks{block_more, leave_runtime, idle};

long install(int signal, const SignalAction& action) {
  if (!action.has_handler()) {
    return core::kernel_sigaction(signal, &action, nullptr);
  }
  constexpr unsigned long kKept = SA_NOCLDSTOP | SA_NOCLDWAIT | SA_RESTART;
  SignalAction ours{reinterpret_cast<uintptr_t>(&handle),
                    (action.flags & kKept) | SA_SIGINFO | SA_ONSTACK | core::kSaRestorer,
                    core::signal_restorer(), blockable(kAll)};
  return core::kernel_sigaction(signal, &ours, nullptr);
}

}  // namespace

void take_over_signals(Thread& first) {
  core::Carrier& carrier = *first.fiber->carrier;
  uint64_t mask = 0;
  sys::call(SYS_rt_sigprocmask, SIG_BLOCK, 0, sys::arg(&mask), sizeof mask);
  first.blocked = mask;
  first.fiber->signal_mask = blockable(mask);
  carrier.kernel_mask = first.fiber->signal_mask;
  core::set_signal_hooks(&kHooks);
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (signal == SIGKILL || signal == SIGSTOP || core::fault::owns(signal)) {
      continue;
    }
    SignalAction action;
    core::kernel_sigaction(signal, nullptr, &action);
    actions[signal] = action;
    if (action.has_handler()) {
      (void)install(signal, action);
    }
  }
}

void deliver_now(core::Fiber& fiber) {
  uint32_t depth = fiber.runtime_depth.load(std::memory_order_relaxed);
  fiber.runtime_depth.store(0, std::memory_order_relaxed);
  leave_runtime(fiber);
  fiber.runtime_depth.store(depth, std::memory_order_relaxed);
}

void reset_signals_after_fork() {
  actions_lock.reset();
  kept_back = 0;
  for (int signal = 1; signal <= kSignals; ++signal) {
    if (actions[signal].has_handler()) {
      core::kernel_sigaction(signal, &actions[signal], nullptr);
    }
  }
}

void show_mask_to_kernel(Thread& thread) {
  thread.fiber->signal_mask = blockable(thread.blocked);
  set_kernel_mask(*thread.fiber->carrier, thread.fiber->signal_mask);
}

long send_to_thread(Thread& thread, int signal) {
  if (signal < 0 || signal > kSignals) {
    return -EINVAL;
  }
  if (signal == 0) {
    return 0;
  }
  bool blocked = (thread.blocked & signal_bit(signal)) != 0;
  SignalAction action = program_action(signal);
  if (!blocked && !action.has_handler()) {
    // Ignored, or the default action, which is the whole process's: the kernel carries it out.
    return action.handler == 1 ? 0 : sys::call(SYS_kill, sys::getpid(), signal);
  }
  thread.pending.fetch_or(signal_bit(signal), std::memory_order_relaxed);
  if (!blocked) {
    thread.fiber->signal_pending.store(true, std::memory_order_release);
  }
  bool is_awaited = (thread.awaited & signal_bit(signal)) != 0;
  if ((!blocked || is_awaited) && &thread != current_thread()) {
    core::interrupt(*thread.fiber);
  }
  return 0;
}

SignalAction program_action(int signal) {
  return core::fault::owns(signal) ? core::fault::application_action(signal) : actions[signal];
}

long set_program_action(int signal, const SignalAction& action) {
  if (core::fault::owns(signal)) {
    core::fault::set_application_action(signal, action);
    return 0;
  }
  base::LockGuard guard(actions_lock);
  SignalAction before = actions[signal];
  actions[signal] = action;
  long result = install(signal, action);
  if (result < 0) {
    actions[signal] = before;
  }
  return result;
}

void set_blocked(Thread& thread, uint64_t mask) {
  thread.blocked = mask & kAll;
  masks_changed = true;
  if ((mask & kInternal) != kInternal) {
    thread.fiber->signal_mask = blockable(mask);
    if ((thread.pending.load(std::memory_order_relaxed) & ~thread.blocked) != 0) {
      thread.fiber->signal_pending.store(true, std::memory_order_relaxed);
    }
  }
}

}  // namespace ramie::host

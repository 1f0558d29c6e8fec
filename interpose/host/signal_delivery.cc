#include "interpose/host/signal_delivery.h"

#include <cerrno>

#include "base/sys.h"
#include "core/apart.h"
#include "core/carrier.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "event/interruptible_call.h"
#include "interpose/host/binding.h"
#include "interpose/host/call_signals.h"
#include "interpose/host/cpu_timers.h"
#include "interpose/host/held_signals.h"
#include "interpose/host/kick.h"
#include "interpose/host/passed_call.h"
#include "interpose/host/resent_signals.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/sleeping_signals.h"
#include "interpose/host/thread.h"
#include "interpose/host/thread_timers.h"

namespace ramie::host {
namespace {

using core::signal_bit;
using core::SignalAction;

constexpr int kFirstRealTime = 32;

bool is_fault(int signal, const siginfo_t& info) {
  return info.si_code > 0 && (signal == SIGSEGV || signal == SIGBUS || signal == SIGILL ||
                              signal == SIGFPE || signal == SIGTRAP || signal == SIGSYS);
}

// Such a signal comes at once, wherever it is sent.
bool is_never_blocked(int signal) { return blockable(signal_bit(signal)) == 0; }

// The program had a handler when the signal came, and has none now: the kernel knows what to do.
void carry_out_default(int signal, const siginfo_t& info) {
  SignalAction in_kernel;
  core::kernel_sigaction(signal, nullptr, &in_kernel);
  if (in_kernel.handler == 0 && !is_fault(signal, info)) {
    send_again(signal, info);
  }
}

// Keeps the signal in the kernel, blocked here (see the header).
void put_off(core::Carrier& carrier, int signal, const siginfo_t& info, ucontext_t& context) {
  send_again(signal, info);
  carrier.kernel_mask = blockable(kAllSignals);
  core::set_context_mask(context, carrier.kernel_mask);
}

// The kernel gives a signal that is meant for the process to its first thread, if that one doesn't
// block it; programs rely on it (python's main thread wakes up for Ctrl-C).  True: it will get this
// one.
bool leave_to_first_thread(core::Fiber& running, int signal, const siginfo_t& info) {
  if (!is_for_first_thread(running, signal, info)) {
    return false;
  }
  WithinRuntime within(running);
  give(*first_thread(), signal, info);
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

// rt_sigreturn will set the mask that the frame holds; what we know of it must follow.
extern "C" [[gnu::visibility("hidden")]] void ramie_leave_handler(ucontext_t* context) {
  core::Fiber* fiber = core::current();
  if (fiber == nullptr) {
    return;  // a fork's child: the kernel's mask is all there is
  }
  // Until rt_sigreturn.  A handler that came in between might move the fiber to another carrier.
  uint64_t all = blockable(kAllSignals);
  (void)sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&all), 0, sizeof all);
  uint64_t mask = core::context_mask(*context);
  if (auto* thread = static_cast<Thread*>(fiber->host)) {
    // First the mask, then what is pending: a sender does it the other way round.
    uint64_t before = thread->blocked.exchange(mask);
    note_masks_changed();
    if ((held_signals() & ~mask) != 0) {
      take_over_held(*thread, mask);
    }
    open_sleepers(blockable(before & ~mask));
    (void)raise_own(*thread, mask);  // what the handler blocked comes right after it
  }
  fiber->signal_mask = blockable(mask);
  fiber->carrier->kernel_mask = fiber->signal_mask;
  core::set_context_mask(*context, fiber->signal_mask);
}

// signal_return.S: where a handler returns to.
extern "C" [[gnu::visibility("hidden")]] void ramie_sigreturn();

// Enters the handler of the next signal that is pending for the thread.  What is left comes when
// that handler leaves the runtime, or returns.
void start_own(core::Fiber& fiber, Thread& thread, ucontext_t& context) {
  siginfo_t info;
  while (int signal = take_pending(thread, ~thread.blocked.load(), info)) {
    SignalAction action = program_action(signal);
    if (action.has_handler()) {
      run_on_fiber(fiber, &thread, signal, info, context, action);
      break;
    }
    if (action.handler == 0 && is_never_blocked(signal)) {
      die_by(signal);
    } else if (action.handler == 0) {
      // The kernel knows what to do; as soon as we return, or the process it is sent to is stopped.
      sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), sys::gettid(), signal, sys::arg(&info));
    }
  }
  settle_interruption(thread);
  uint64_t waits = thread.pending.load(std::memory_order_seq_cst) | signals_kept_back();
  if ((waits & ~thread.blocked.load()) != 0) {
    fiber.signal_pending.store(true, std::memory_order_relaxed);
  }
}

// As if the program had a handler that lets others run: the thread computes, and was bound to
// another kernel thread meanwhile.
void move_home(core::Fiber& fiber, Thread& thread, ucontext_t& context) {
  siginfo_t info{};
  SignalAction action;
  action.handler = reinterpret_cast<uintptr_t>(static_cast<void (*)(int, siginfo_t*, void*)>(
      [](int, siginfo_t*, void*) { core::go_home(); }));
  action.flags = SA_SIGINFO | SA_RESTART | SA_NODEFER;
  run_on_fiber(fiber, &thread, kKickSignal, info, context, action);
}

// See kick.h.  In the runtime, a fiber finds by itself what has changed, when it leaves.
void on_kick(core::Carrier& carrier, core::Fiber& fiber, ucontext_t& context) {
  stop_if_told();
  catch_up_with_credentials(carrier);
  auto* thread = static_cast<Thread*>(fiber.host);
  if (fiber.kind == core::FiberKind::loop) {
    // The masks have changed under a sleeper: it lets nothing in until it has looked again, but for
    // the next kick (one that stands by does not look).
    carrier.kernel_mask = blockable(kAllSignals) & ~signal_bit(kKickSignal);
    core::set_context_mask(context, carrier.kernel_mask);
    core::put_off_signal(carrier);
    return;
  }
  bool in_runtime = fiber.runtime_depth.load(std::memory_order_relaxed) > 0;
  if (is_cpu_alarm_due() && !in_runtime) {
    WithinRuntime within(fiber);
    deliver_timer_signals();
  } else if (is_cpu_alarm_due()) {
    fiber.signal_pending.store(true, std::memory_order_relaxed);  // leave_runtime() looks
  }
  if (thread != nullptr && !in_runtime &&
      fiber.signal_pending.exchange(false, std::memory_order_relaxed)) {
    if (is_away_from_home(fiber)) {
      move_home(fiber, *thread, context);
    }
    start_own(fiber, *thread, context);
  }
}

}  // namespace

void send_again(int signal, const siginfo_t& info) {
  core::Fiber* fiber = core::current();
  if (fiber != nullptr && is_never_blocked(signal)) {
    hold(signal, info);
    core::put_off_signal(*fiber->carrier);
    return;
  }
  resend(signal, info);
}

void run_on_fiber(core::Fiber& fiber, Thread* thread, int signal, const siginfo_t& info,
                  ucontext_t& context, SignalAction action) {
  if ((action.flags & SA_RESETHAND) != 0 && !reset_program_action(signal, action)) {
    send_again(signal, info);  // it is for whatever the action is now
    return;
  }
  bool interrupts = !is_fault(signal, info);
  uint64_t before = thread != nullptr ? thread->blocked.load() : core::context_mask(context);
  uint64_t during = before | action.mask;
  if ((action.flags & SA_NODEFER) == 0) {
    during |= signal_bit(signal);
  }
  core::set_context_mask(context, before);
  action.restorer = reinterpret_cast<uintptr_t>(&ramie_sigreturn);
  action.flags |= core::kSaRestorer;  // also for a handler of ours, see move_home()
  core::AlternateStack alternate;
  if (thread != nullptr) {
    alternate = thread->alternate_stack;
    thread->blocked = during;
    note_masks_changed();
    if (interrupts) {
      ++thread->handled;
    }
    if (interrupts && (action.flags & SA_RESTART) == 0) {
      ++thread->interruptions;
      end_passed_call(context);
    }
    if (interrupts) {
      settle_interruption(*thread);
    }
  } else if (interrupts) {
    fiber.interrupt_requested.store(false, std::memory_order_relaxed);
  }
  // Of libc's handler of that number, in which several carriers may be at a time, each of which
  // waits until the others have followed it (kick.h).
  uint64_t kicks = signal == kKickSignal ? signal_bit(kKickSignal) : 0;
  fiber.signal_mask = blockable(during) & ~kicks;
  fiber.carrier->kernel_mask = fiber.signal_mask;
  core::push_signal_frame(context, signal, info, action, alternate, fiber.signal_mask);
}

// A sender makes a signal pending before it interrupts, so of the two either we see the signal, or
// the request comes after ours was dropped.  One that was there may also have been for a signal
// that the kernel keeps for this thread.
void settle_interruption(Thread& thread) {
  core::Fiber& fiber = *thread.fiber;
  bool was_requested = fiber.interrupt_requested.exchange(false, std::memory_order_seq_cst);
  uint64_t waits =
      thread.pending.load(std::memory_order_seq_cst) | (was_requested ? signals_kept_back() : 0);
  if ((waits & ~thread.blocked.load()) != 0) {
    fiber.interrupt_requested.store(true, std::memory_order_seq_cst);
  }
}

// The thread has something pending.  It is woken, or its carrier is kicked if it computes.  On its
// way in or out of the runtime it finds the signal by itself: the barrier is for both of us, so
// that it sees signal_pending, or we see where it runs.
void reach(Thread& thread) {
  core::Fiber& fiber = *thread.fiber;
  if (core::interrupt(fiber)) {
    return;
  }
  constexpr long kPrivateExpedited = 1 << 3;
  (void)sys::call(SYS_membarrier, kPrivateExpedited, 0, 0);
  const core::Carrier* carrier = fiber.carrier;
  if (carrier != nullptr && carrier->kernel_tid != sys::gettid() &&
      carrier->current.load(std::memory_order_acquire) == &fiber) {
    kick(*carrier);
  }
}

void give(Thread& thread, int signal, const siginfo_t& info) {
  siginfo_t with_number = info;
  with_number.si_signo = signal;
  add_given(thread, with_number);
  // It may have begun to block the signal, or to end: it looks at what is pending after that, and
  // whoever of us sees what the other did gives the signal back.
  if ((thread.blocked.load(std::memory_order_seq_cst) & signal_bit(signal)) != 0) {
    give_back(thread, signal_bit(signal));
    return;
  }
  thread.fiber->signal_pending.store(true, std::memory_order_seq_cst);
  reach(thread);
}

void give_back(Thread& thread, uint64_t signals) {
  if ((thread.pending.load(std::memory_order_seq_cst) & signals) == 0) {
    return;
  }
  AllBlocked block;
  siginfo_t info;
  while (int signal = take_given(thread, signals, info)) {
    send_again(signal, info);
  }
}

bool raise_own(Thread& thread, uint64_t mask) {
  if ((thread.pending.load(std::memory_order_seq_cst) & ~mask) == 0) {
    return false;
  }
  // The kernel thread that is asked for its id is still this one when it is kicked; the kick comes
  // when the block ends.
  AllBlocked block;
  thread.fiber->signal_pending.store(true, std::memory_order_relaxed);
  kick(*thread.fiber->carrier);
  return true;
}

void handle_signal(int signal, siginfo_t* info, void* raw_context) {
  auto& context = *static_cast<ucontext_t*>(raw_context);
  if (signal == core::kInternalSignal && event::handle_interrupt(*info, context)) {
    return;
  }
  core::Fiber* fiber = core::current();
  if (is_timer_signal(signal, *info)) {
    on_timer_signal(*info, fiber);
    if (fiber != nullptr && fiber->kind != core::FiberKind::loop) {
      on_kick(*fiber->carrier, *fiber, context);  // it may have been for this very thread
    }
    return;
  }
  restore_info(*info);
  if (fiber == nullptr) {
    SignalAction action = program_action(signal);
    if (!action.has_handler()) {
      carry_out_default(signal, *info);
      return;
    }
    if ((action.flags & SA_RESETHAND) != 0 && !reset_program_action(signal, action)) {
      send_again(signal, *info);
      return;
    }
    call_in_place(action, signal, info, context);
    return;
  }
  auto* thread = static_cast<Thread*>(fiber->host);
  core::Carrier& carrier = *fiber->carrier;
  if (is_kick(signal, *info)) {
    on_kick(carrier, *fiber, context);
    return;
  }
  bool in_runtime = fiber->runtime_depth.load(std::memory_order_relaxed) > 0;
  bool blocked = thread != nullptr && (thread->blocked & signal_bit(signal)) != 0;
  if (thread != nullptr && (in_runtime || blocked) && is_of_own_call(signal, *info)) {
    keep_call_signal(*thread, *info);
    return;
  }
  if ((in_runtime || blocked) && !is_fault(signal, *info)) {
    put_off(carrier, signal, *info, context);
    if (blocked && !in_runtime) {
      // It stays out until the program unblocks it.
      fiber->signal_mask = carrier.kernel_mask & ~signal_bit(kKickSignal);
    } else {
      core::put_off_signal(carrier);
    }
    return;
  }
  SignalAction action = program_action(signal);
  if (!action.has_handler()) {
    carry_out_default(signal, *info);
  } else if (signal >= kFirstRealTime && thread != nullptr &&
             (thread->pending & signal_bit(signal)) != 0) {
    add_given(*thread, *info);  // in order
    start_own(*fiber, *thread, context);
  } else if (!leave_to_first_thread(*fiber, signal, *info)) {
    run_on_fiber(*fiber, thread, signal, *info, context, action);
  }
}

bool handle_fault(int signal, const siginfo_t& info, ucontext_t& context,
                  const SignalAction& action) {
  core::Fiber& fiber = *core::current();
  auto* thread = static_cast<Thread*>(fiber.host);
  if (thread != nullptr && (thread->blocked.load() & signal_bit(signal)) != 0) {
    return false;
  }
  run_on_fiber(fiber, thread, signal, info, context, action);
  return true;
}

bool is_for_first_thread(const core::Fiber& running, int signal, const siginfo_t& info) {
  Thread* first = first_thread();
  return first != nullptr && first->fiber != &running && signal < kFirstRealTime &&
         info.si_code != SI_TKILL && signal != SIGPIPE && !is_fault(signal, info) &&
         (first->blocked & signal_bit(signal)) == 0 && !is_offloaded(*first->fiber);
}

void die_by(int signal) {
  SignalAction standard;
  core::kernel_sigaction(signal, &standard, nullptr);
  (void)sys::call(SYS_tgkill, sys::getpid(), sys::gettid(), signal);
}

void reset_delivery_after_fork() {
  reset_held_after_fork();
  reset_queue_after_fork();
  reset_timers_after_fork();
  reset_resent_after_fork();
}

}  // namespace ramie::host

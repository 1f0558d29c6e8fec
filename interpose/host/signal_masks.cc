#include "interpose/host/signal_masks.h"

#include <time.h>

#include "base/log.h"
#include "base/sys.h"
#include "core/apart.h"
#include "core/crew.h"
#include "core/kernel_mask.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "interpose/host/binding.h"
#include "interpose/host/cpu_timers.h"
#include "interpose/host/held_signals.h"
#include "interpose/host/kick.h"
#include "interpose/host/resent_signals.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/sleeping_signals.h"
#include "interpose/host/thread.h"
#include "interpose/host/thread_timers.h"
#include "interpose/host/user_dispatch.h"

namespace ramie::host {
namespace {

using core::signal_bit;

// glibc's own two, for cancellation and setuid.  Its functions never block them for the program,
// only for itself, with everything else, for a moment.
constexpr uint64_t kInternal = signal_bit(32) | signal_bit(33);
constexpr uint64_t kStandard = (1UL << 31) - 1;  // the real-time signals start at 32

// Signals that are kept back for a fiber which hasn't taken them yet, so the idle carrier must not
// let them in.
constinit std::atomic<uint64_t> kept_back = 0;

// On arrival: blocks more, lets nothing new in.  That is for the end of the section.
void block_more(core::Carrier& carrier, core::Fiber& arrived) {
  set_kernel_mask(carrier, carrier.kernel_mask | arrived.signal_mask);
}

// Sleepers let in what was kept back until now.
void stop_keeping_back() {
  if (kept_back.load(std::memory_order_relaxed) == 0 || kept_back.exchange(0) == 0) {
    return;
  }
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    core::wake(*carrier);
  }
}

// The kernel's mask becomes the fiber's.  Outside of the runtime a handler may come at any moment,
// and the fiber may be on another carrier when it returns.  So the carrier's note is made inside,
// and only the call itself outside, where what it lets in may be delivered: a handler that comes
// in between finds the note made, and leaves the kernel's mask so, wherever it returns.
//
// What comes in between may also change fiber.signal_mask (a handler that sets the mask of the
// context it returns to), and then what we were about to set is out of date: once more.
void follow_mask(core::Fiber& fiber) {
  uint64_t mask;
  do {
    WithinRuntime::set_depth(fiber, 1);
    stop_keeping_back();
    mask = fiber.signal_mask;
    fiber.carrier->kernel_mask = mask;
    WithinRuntime::set_depth(fiber, 0);
    (void)sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
  } while (mask != fiber.signal_mask);
}

void leave_runtime(core::Fiber& fiber) {
  // Once more if a signal was put off in there.
  while (fiber.carrier->kernel_mask != fiber.signal_mask) {
    follow_mask(fiber);
  }
  auto* thread = static_cast<Thread*>(fiber.host);
  if (thread != nullptr && fiber.signal_pending.load(std::memory_order_relaxed)) {
    // Before it is read what is pending: who adds to that afterwards sets this again.
    (void)fiber.signal_pending.exchange(false, std::memory_order_seq_cst);
    if (is_away_from_home(fiber)) {
      core::go_home();
    }
    {
      AllBlocked block;
      WithinRuntime within(fiber);
      deliver_timer_signals();  // a timer may have expired in there
      // What was kept back for this thread it has got, or somebody else: the kernel's mask is its
      // own already.
      stop_keeping_back();
    }
    if (!raise_own(*thread, thread->blocked)) {
      settle_interruption(*thread);
    }
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
// While there is a LiveThreads.
Thread* find_taker(uint64_t signals) {
  Search search{signals, nullptr};
  if (Thread* first = first_thread()) {
    consider(*first, &search);
  }
  if (signals != 0 && (search.found == nullptr || is_offloaded(*search.found->fiber))) {
    LiveThreads::for_each(consider, &search);
  }
  return search.found;
}

// One that the kernel keeps, blocked here.  False if it has none by now.
[[nodiscard]] bool take_from_kernel(int signal, siginfo_t& info) {
  uint64_t one = signal_bit(signal);
  timespec at_once{};
  if (sys::call(SYS_rt_sigtimedwait, sys::arg(&one), sys::arg(&info), sys::arg(&at_once),
                sizeof one) != signal) {
    return false;
  }
  restore_info(info);
  return true;
}

// What the kernel keeps for the process, blocked here, is given to threads that don't block it.
void hand_out(uint64_t pending) {
  for (; pending != 0; pending &= pending - 1) {
    int signal = __builtin_ctzl(pending) + 1;
    if (!program_action(signal).has_handler()) {
      continue;  // the kernel knows what to do, as soon as a carrier lets it in
    }
    siginfo_t info;
    LiveThreads threads;
    Thread* taker = find_taker(signal_bit(signal));
    if (taker != nullptr && take_from_kernel(signal, info)) {
      give(*taker, signal, info);
    }
  }
}

// The same for what the kernel can't keep.  Nobody may take one: then it stays until somebody
// unblocks it, or waits for it.
void hand_out_held() {
  uint64_t held = held_signals();
  for (uint64_t rest = held; rest != 0; rest &= rest - 1) {
    int signal = __builtin_ctzl(rest) + 1;
    siginfo_t info;
    LiveThreads threads;
    Thread* taker = find_taker(signal_bit(signal));
    if (taker != nullptr && take_held(signal, info)) {
      give(*taker, signal, info);
    }
  }
  auto tell = [](Thread& thread, void* wanted) {
    if ((thread.awaited.load(std::memory_order_seq_cst) & *static_cast<uint64_t*>(wanted)) != 0) {
      (void)core::interrupt(*thread.fiber);
    }
  };
  if (held != 0) {
    if (Thread* first = first_thread()) {
      tell(*first, &held);
    }
    LiveThreads threads;
    LiveThreads::for_each(tell, &held);
  }
}

// Real-time signals queue up: the kernel keeps them until their takers let them in.  A taker may
// have its mask in the kernel already, and nothing to set when it leaves the runtime; so it is told
// to look all the same, after it is said what is kept back.
void keep_back(uint64_t pending) {
  LiveThreads threads;
  Thread* taker = find_taker(pending);
  kept_back = taker != nullptr ? pending : 0;
  for (; taker != nullptr; taker = find_taker(pending)) {
    pending &= taker->blocked;
    taker->fiber->signal_pending.store(true, std::memory_order_seq_cst);
    (void)core::interrupt(*taker->fiber);
  }
}

void hand_out_all(core::Carrier& carrier) {
  set_kernel_mask(carrier, blockable(kAllSignals));
  uint64_t pending = 0;
  sys::call(SYS_rt_sigpending, sys::arg(&pending), sizeof pending);
  hand_out(pending & kStandard);
  hand_out_held();
  deliver_timer_signals();
  keep_back(pending & ~kStandard);
}

// Of a bare carrier.
bool begin(core::Carrier& carrier) {
  take_on_credentials(carrier.credentials);
  if (!dispatch_this_thread()) {
    // The program has forbidden it since (seccomp).
    static constinit std::atomic<bool> said = false;
    base::log_once(said, base::LogLevel::warn,
                   "no further carrier: Syscall User Dispatch is refused");
    return false;
  }
  return true;
}

constinit const core::SignalHooks kHooks{block_more,          leave_runtime, hand_out_all,
                                         open_to_signals,     begin,         is_dispatch_chosen,
                                         take_on_credentials, on_cpu_alarm};

}  // namespace

uint64_t signals_kept_back() { return kept_back.load(std::memory_order_seq_cst); }

// It says that a signal is let in for as long as that is so.
long set_kernel_mask(core::Carrier& carrier, uint64_t mask) {
  if ((carrier.kernel_mask & ~mask) == 0) {
    return core::block_in_kernel(carrier, mask);
  }
  carrier.kernel_mask = mask;
  return sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
}

const core::SignalHooks& mask_hooks() { return kHooks; }

void take_no_signals(Thread& thread) {
  uint64_t before = thread.blocked.exchange(kAllSignals);
  note_masks_changed();
  stop_keeping_back();
  give_back(thread, kAllSignals);
  forget_pending(thread);
  Thread* first = first_thread();
  uint64_t closing = first != nullptr ? ~before & kAllSignals & first->blocked.load() : 0;
  core::Carrier& carrier = *thread.fiber->carrier;
  if ((closing & ~carrier.kernel_mask) != 0) {
    set_kernel_mask(carrier, blockable(kAllSignals));
  }
  close_to_sleepers(closing);
}

void set_blocked(Thread& thread, uint64_t mask) {
  uint64_t before = thread.blocked;
  thread.blocked = mask & kAllSignals;
  note_masks_changed();
  if ((mask & kInternal) != kInternal) {
    thread.fiber->signal_mask = blockable(mask);
    if ((thread.pending.load(std::memory_order_seq_cst) & thread.blocked.load()) != 0) {
      give_back(thread, thread.blocked);
      settle_interruption(thread);
    }
    if ((thread.pending.load(std::memory_order_seq_cst) & ~thread.blocked.load()) != 0) {
      thread.fiber->signal_pending.store(true, std::memory_order_relaxed);
    }
    Thread* first = first_thread();
    uint64_t closing = first != nullptr ? mask & ~before & first->blocked.load() : 0;
    if (closing != 0) {
      // Itself first: two that do this must not wait for each other.
      core::Carrier& carrier = *thread.fiber->carrier;
      if ((thread.fiber->signal_mask & ~carrier.kernel_mask) != 0) {
        block_more(carrier, *thread.fiber);
      }
      close_to_sleepers(closing);
    }
    if ((held_signals() & ~mask) != 0) {
      take_over_held(thread, mask);
    }
    open_sleepers(blockable(before & ~mask));
  }
}

// One of each kind, which is what the call is promised to handle.
void take_before_opening(Thread& thread, uint64_t mask) {
  uint64_t opening = thread.fiber->signal_mask & ~mask;
  if (opening == 0 || (mask & kInternal) == kInternal ||
      core::carriers()->next_carrier == nullptr) {
    return;
  }
  uint64_t pending = 0;
  sys::call(SYS_rt_sigpending, sys::arg(&pending), sizeof pending);
  for (pending &= opening; pending != 0; pending &= pending - 1) {
    int signal = __builtin_ctzl(pending) + 1;
    siginfo_t info;
    AllBlocked block;
    // Without a handler, the kernel knows what to do.
    if (!program_action(signal).has_handler() || !take_from_kernel(signal, info)) {
      continue;
    }
    if (is_for_first_thread(*thread.fiber, signal, info)) {
      give(*first_thread(), signal, info);
    } else {
      add_given(thread, info);
    }
  }
}

void show_mask_to_kernel(Thread& thread) {
  thread.fiber->signal_mask = blockable(thread.blocked);
  set_kernel_mask(*thread.fiber->carrier, thread.fiber->signal_mask);
}

void deliver_now(core::Fiber& fiber) {
  uint32_t depth = fiber.runtime_depth.load(std::memory_order_relaxed);
  fiber.runtime_depth.store(0, std::memory_order_relaxed);
  leave_runtime(fiber);
  fiber.runtime_depth.store(depth, std::memory_order_relaxed);
}

void reset_masks_after_fork() {
  kept_back = 0;
  reset_sleeping_signals_after_fork();
}

}  // namespace ramie::host

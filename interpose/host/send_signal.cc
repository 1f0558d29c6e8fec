// Sending signals: to one thread, whose id the kernel doesn't know; and to the process itself.
#include <signal.h>

#include <atomic>
#include <cerrno>

#include "base/sys.h"
#include "core/carrier.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/native_threads.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

using core::signal_bit;
using core::SignalAction;

siginfo_t info_of_call(int signal, int code) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = code;
  info.si_pid = sys::getpid();
  info.si_uid = static_cast<uid_t>(sys::call(SYS_getuid));
  return info;
}

// What the calling thread sends to its process and lets in itself, it gets before the call returns,
// unless the first thread would rather have it: POSIX promises that where no other thread lets it
// in, and the kernel's choice is free elsewhere.  False: it is left to the kernel.
bool take_at_once(int signal, const siginfo_t& info) {
  Thread* thread = current_thread();
  Thread* first = first_thread();
  if (thread == nullptr || signal < 1 || signal > kSignals ||
      (thread->blocked.load() & signal_bit(signal)) != 0 || !program_action(signal).has_handler()) {
    return false;
  }
  if (first != nullptr && first != thread && (first->blocked.load() & signal_bit(signal)) == 0 &&
      !is_offloaded(*first->fiber)) {
    return false;
  }
  add_given(*thread, info);
  thread->fiber->signal_pending.store(true, std::memory_order_relaxed);
  return true;
}

// Of all signalfds that there were.
constinit std::atomic<uint64_t> watched = 0;

// While there is a LiveThreads.
bool is_blocked_by_all(uint64_t signal) {
  struct Search {
    uint64_t signal;
    bool blocked;
  } search{signal, first_thread() == nullptr || (first_thread()->blocked.load() & signal) != 0};
  LiveThreads::for_each(
      [](Thread& thread, void* argument) {
        auto& wanted = *static_cast<Search*>(argument);
        wanted.blocked = wanted.blocked && (thread.blocked.load() & wanted.signal) != 0;
      },
      &search);
  return search.blocked;
}

// Whether it is for a signalfd, which sees what is pending for the process.  No thread lets it in,
// so nobody but those who look for it notices to whom it was sent.  What native threads let in is
// not known.
bool goes_to_signalfd(const Thread& thread, int signal) {
  uint64_t bit = signal_bit(signal);
  return (watched.load(std::memory_order_relaxed) & bit) != 0 && !has_native_threads() &&
         (bit & blockable(bit)) != 0 && (thread.awaited.load() & bit) == 0 &&
         is_blocked_by_all(bit);
}

// To the process, which has sent it to one of its threads.
void show(int signal, const siginfo_t& info) {
  int process = sys::getpid();
  if (sys::call(SYS_rt_sigqueueinfo, process, signal, sys::arg(&info)) == -EPERM) {
    (void)sys::call(SYS_kill, process, signal);
  }
}

}  // namespace

void show_to_signalfd(Thread* caller, uint64_t set) {
  watched.fetch_or(set, std::memory_order_relaxed);
  if (caller == nullptr) {
    return;
  }
  // The list of threads is let go before a signal is taken: who delivers those of timers takes the
  // two locks the other way round.
  auto is_to_be_shown = [caller](int signal) {
    LiveThreads threads;
    return goes_to_signalfd(*caller, signal);
  };
  siginfo_t info;
  for (uint64_t rest = caller->pending.load() & set; rest != 0; rest &= rest - 1) {
    int signal = __builtin_ctzl(rest) + 1;
    AllBlocked block;
    while (is_to_be_shown(signal) && take_pending(*caller, signal_bit(signal), info) != 0) {
      show(signal, info);
    }
  }
}

long send_to_thread(Thread& thread, int signal, const siginfo_t& info, bool* is_kept) {
  if (signal < 0 || signal > kSignals) {
    return -EINVAL;
  }
  if (signal == 0) {
    return 0;
  }
  bool blocked = (thread.blocked.load() & signal_bit(signal)) != 0;
  SignalAction action = program_action(signal);
  if (!blocked && !action.has_handler()) {
    // Ignored, or the default action, which is the whole process's: the kernel carries it out,
    // before the call returns if the thread has sent it to itself.
    if (action.handler == 1) {
      return 0;
    }
    return &thread == current_thread() ? sys::call(SYS_tgkill, sys::getpid(), sys::gettid(), signal)
                                       : sys::call(SYS_kill, sys::getpid(), signal);
  }
  if (blocked && goes_to_signalfd(thread, signal)) {
    AllBlocked block;
    show(signal, info);
    return 0;
  }
  // First it is pending, then we look at what the thread lets in: it does it the other way round.
  if (long result = add_own(thread, info); result < 0) {
    return result;
  }
  if (is_kept != nullptr) {
    *is_kept = true;
  }
  blocked = (thread.blocked.load() & signal_bit(signal)) != 0;
  if (!blocked) {
    thread.fiber->signal_pending.store(true, std::memory_order_seq_cst);
  }
  bool is_awaited = (thread.awaited.load() & signal_bit(signal)) != 0;
  if ((!blocked || is_awaited) && &thread != current_thread()) {
    reach(thread);
  }
  return 0;
}

long tgkill(const long* a) {
  int tid = static_cast<int>(a[1]);
  int signal = static_cast<int>(a[2]);
  if (a[0] == sys::getpid()) {
    LiveThreads threads;
    if (Thread* thread = LiveThreads::find(tid)) {
      return send_to_thread(*thread, signal, info_of_call(signal, SI_TKILL));
    }
  }
  return is_virtual_tid(tid) ? -ESRCH : kernel(SYS_tgkill, a);
}

long tkill(const long* a) {
  const long with_group[6] = {sys::getpid(), a[0], a[1], 0, 0, 0};
  int tid = static_cast<int>(a[0]);
  return is_virtual_tid(tid) || is_thread_alive(tid) ? tgkill(with_group) : kernel(SYS_tkill, a);
}

long rt_tgsigqueueinfo(const long* a) {
  int tid = static_cast<int>(a[1]);
  int signal = static_cast<int>(a[2]);
  if (a[0] != sys::getpid() || (!is_virtual_tid(tid) && !is_thread_alive(tid))) {
    return is_virtual_tid(tid) ? -ESRCH : kernel(SYS_rt_tgsigqueueinfo, a);
  }
  siginfo_t info = *reinterpret_cast<const siginfo_t*>(a[3]);
  info.si_signo = signal;
  LiveThreads threads;
  Thread* thread = LiveThreads::find(tid);
  if (thread == nullptr) {
    return -ESRCH;
  }
  // Nobody but itself may be told that the kernel has sent it.
  if ((info.si_code >= 0 || info.si_code == SI_TKILL) && thread != current_thread()) {
    return -EPERM;
  }
  return send_to_thread(*thread, signal, info);
}

long kill(const long* a) {
  int signal = static_cast<int>(a[1]);
  bool taken = a[0] == sys::getpid() && take_at_once(signal, info_of_call(signal, SI_USER));
  return taken ? 0 : kernel(SYS_kill, a);
}

long rt_sigqueueinfo(const long* a) {
  int signal = static_cast<int>(a[1]);
  if (a[0] == sys::getpid()) {
    siginfo_t info = *reinterpret_cast<const siginfo_t*>(a[2]);
    info.si_signo = signal;
    if (info.si_code < 0 && info.si_code != SI_TKILL && take_at_once(signal, info)) {
      return 0;
    }
  }
  return kernel(SYS_rt_sigqueueinfo, a);
}

}  // namespace ramie::host

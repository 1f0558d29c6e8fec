// The system calls that concern signals, for hosted threads.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>

#include <cerrno>

#include "base/deadline.h"
#include "base/sys.h"
#include "core/park.h"
#include "event/own_descriptors.h"
#include "event/reactor.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/held_signals.h"
#include "interpose/host/resent_signals.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

using core::signal_bit;
using core::SignalAction;

constexpr long kSetSize = sizeof(uint64_t);

template <class T>
T* pointer(long value) {
  return reinterpret_cast<T*>(value);
}

// Takes one signal of `set` that is not in the kernel's hands; 0: there is none.
int take_own(Thread& thread, uint64_t set, siginfo_t* out) {
  siginfo_t info;
  for (uint64_t wanted = held_signals() & set; wanted != 0; wanted &= wanted - 1) {
    int signal = __builtin_ctzl(wanted) + 1;
    if (take_held(signal, info)) {
      if (out != nullptr) {
        *out = info;
      }
      return signal;
    }
  }
  int signal = take_pending(thread, set, info);
  if (signal != 0) {
    settle_interruption(thread);
    if (out != nullptr) {
      *out = info;
    }
  }
  return signal;
}

// Until one of `set` may be pending in the kernel: a descriptor tells, and takes none.  0,
// -ETIMEDOUT, -EINTR, or the error for which there is no descriptor.
long wait_for_signal(uint64_t set, base::Deadline deadline) {
  int fd = event::keep(sys::call(SYS_signalfd4, -1, sys::arg(&set), kSetSize, SFD_CLOEXEC));
  if (fd < 0) {
    return fd;
  }
  long result = event::wait_fd(fd, POLLIN, deadline);
  event::forget(fd);
  event::discard(fd);
  return result;
}

// The mask is that of the kernel thread, for light fibers also inside of libc, where pthread_create
// blocks all signals; but what its carrier can't do without stays open.
long change_kernels_mask(const long* a) {
  if (core::current() == nullptr || a[1] == 0 || static_cast<int>(a[0]) == SIG_UNBLOCK) {
    return kernel(SYS_rt_sigprocmask, a);
  }
  uint64_t set = blockable(*pointer<const uint64_t>(a[1]));
  return sys::call(SYS_rt_sigprocmask, a[0], sys::arg(&set), a[2], a[3]);
}

}  // namespace

long rt_sigaction(const long* a) {
  int signal = static_cast<int>(a[0]);
  if (signal < 1 || signal > 64 || a[3] != kSetSize || signal == SIGKILL || signal == SIGSTOP) {
    return kernel(SYS_rt_sigaction, a);
  }
  SignalAction before;
  if (a[1] != 0) {
    SignalAction wanted = *pointer<const SignalAction>(a[1]);
    wanted.mask &= ~(signal_bit(SIGKILL) | signal_bit(SIGSTOP));
    if (long result = set_program_action(signal, wanted, before); result < 0) {
      return result;
    }
  } else {
    before = program_action(signal);
  }
  if (a[2] != 0) {
    *pointer<SignalAction>(a[2]) = before;
  }
  return 0;
}

long rt_sigprocmask(const long* a) {
  Thread* thread = current_thread();
  if (a[3] != kSetSize) {
    return kernel(SYS_rt_sigprocmask, a);
  }
  if (thread == nullptr) {
    return change_kernels_mask(a);
  }
  uint64_t before = thread->blocked;
  if (a[1] != 0) {
    uint64_t set = *pointer<const uint64_t>(a[1]);
    switch (static_cast<int>(a[0])) {
      case SIG_BLOCK:
        set |= before;
        break;
      case SIG_UNBLOCK:
        set = before & ~set;
        break;
      case SIG_SETMASK:
        break;
      default:
        return -EINVAL;
    }
    take_before_opening(*thread, set);
    set_blocked(*thread, set);
  }
  if (a[2] != 0) {
    *pointer<uint64_t>(a[2]) = before;
  }
  return 0;
}

long rt_sigpending(const long* a) {
  long result = kernel(SYS_rt_sigpending, a);
  Thread* thread = current_thread();
  if (result == 0 && thread != nullptr) {
    uint64_t& pending = *pointer<uint64_t>(a[0]);
    pending |= thread->pending.load(std::memory_order_relaxed) | held_signals();
    pending &= thread->blocked;
  }
  return result;
}

long signalfd(const long* a) {
  const long without_flags[6] = {a[0], a[1], a[2], 0, 0, 0};
  return signalfd4(without_flags);
}

long signalfd4(const long* a) {
  long fd = kernel(SYS_signalfd4, a);
  if (!sys::failed(fd)) {
    show_to_signalfd(current_thread(), *pointer<const uint64_t>(a[1]));
  }
  return fd;
}

long rt_sigsuspend(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr || a[1] != kSetSize) {
    return kernel(SYS_rt_sigsuspend, a);
  }
  uint64_t before = thread->blocked;
  uint16_t handled = thread->handled;
  set_blocked(*thread, *pointer<const uint64_t>(a[0]));
  do {
    core::Ticket ticket = core::prepare_park();
    if (thread->fiber->signal_pending.load(std::memory_order_relaxed)) {
      (void)core::unpark(ticket, core::Wake::interrupted);
    }
    (void)core::park({core::WaitKind::none, 0});
    deliver_now(*thread->fiber);
  } while (thread->handled == handled);
  set_blocked(*thread, before);
  return -EINTR;
}

long rt_sigtimedwait(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr || a[0] == 0 || a[3] != kSetSize) {
    return kernel(SYS_rt_sigtimedwait, a);
  }
  uint64_t set = *pointer<const uint64_t>(a[0]);
  base::Deadline deadline;
  if (a[2] != 0) {
    const auto& limit = *pointer<const timespec>(a[2]);
    if (!base::is_valid(limit)) {
      return -EINVAL;
    }
    deadline = base::Deadline::after(base::now(), base::to_nanos(limit));
  }
  timespec zero{};
  const long at_once[6] = {a[0], a[1], sys::arg(&zero), a[3], 0, 0};
  for (;;) {
    if (int signal = take_own(*thread, set, pointer<siginfo_t>(a[1])); signal != 0) {
      return signal;
    }
    long result = kernel(SYS_rt_sigtimedwait, at_once);
    if (result > 0 && a[1] != 0) {
      restore_info(*pointer<siginfo_t>(a[1]));
    }
    if (result != -EAGAIN || deadline.passed(base::now())) {
      return result;
    }
    thread->awaited = set;
    // Whoever sends one looks at `awaited` after it has made the signal pending.
    if (((thread->pending.load(std::memory_order_seq_cst) | held_signals()) & set) == 0) {
      result = wait_for_signal(set, deadline);
    }
    thread->awaited = 0;
    bool has_own = ((thread->pending.load(std::memory_order_relaxed) | held_signals()) & set) != 0;
    if (result < 0 && result != -ETIMEDOUT && !has_own) {
      return result;
    }
  }
}

long sigaltstack(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr) {
    return kernel(SYS_sigaltstack, a);
  }
  core::AlternateStack& own = thread->alternate_stack;
  bool is_used =
      own.size != 0 && own.holds(reinterpret_cast<uintptr_t>(__builtin_frame_address(0)));
  core::AlternateStack before = own;
  if (a[0] != 0) {
    const auto& wanted = *pointer<const stack_t>(a[0]);
    constexpr int kAutoDisarm = 1 << 31;
    int flags = wanted.ss_flags & ~kAutoDisarm;
    if (is_used) {
      return -EPERM;
    }
    if (flags != 0 && flags != SS_DISABLE && flags != SS_ONSTACK) {
      return -EINVAL;
    }
    if (flags == SS_DISABLE) {
      own = {};
    } else if (wanted.ss_size < 2048) {  // MINSIGSTKSZ
      return -ENOMEM;
    } else {
      own = {reinterpret_cast<uintptr_t>(wanted.ss_sp), wanted.ss_size};
    }
  }
  if (a[1] != 0) {
    auto& out = *pointer<stack_t>(a[1]);
    out.ss_sp = reinterpret_cast<void*>(before.base);
    out.ss_size = before.size;
    out.ss_flags = before.size == 0 ? SS_DISABLE : is_used ? SS_ONSTACK : 0;
  }
  return 0;
}

}  // namespace ramie::host

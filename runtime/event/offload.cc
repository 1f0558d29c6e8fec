#include "event/offload.h"

#include <signal.h>

#include <cerrno>

#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/park.h"
#include "event/helper_pool.h"

namespace ramie::event {
namespace {

using base::Lock;
using base::LockGuard;

// How often a fiber looks whether its queued call gets on.
constexpr int64_t kPatience = 10'000'000;

// On the stack of the fiber that waits.
struct Call : HelperJob {
  Lock lock;
  core::Ticket ticket RAMIE_GUARDED_BY(lock);  // of the park under way
  bool is_done RAMIE_GUARDED_BY(lock) = false;
};

void on_finished(HelperJob& job) {
  auto& call = static_cast<Call&>(job);
  core::Ticket ticket;
  {
    LockGuard guard(call.lock);
    call.is_done = true;
    ticket = call.ticket;
  }
  // The call may have ended before its fiber came to wait for it, on another carrier.
  if (ticket.fiber != nullptr) {
    (void)core::unpark(ticket);
  }
}

// As the kernel would have, had the call been made here.
void raise_here(int signal) {
  siginfo_t info{};
  info.si_signo = signal;
  info.si_code = SI_USER;
  info.si_pid = sys::getpid();
  info.si_uid = static_cast<uid_t>(sys::call(SYS_getuid));
  (void)sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), sys::gettid(), signal, sys::arg(&info));
}

void unlock(void* lock) RAMIE_NO_THREAD_SAFETY_ANALYSIS { static_cast<Lock*>(lock)->unlock(); }

long run(long number, const long arguments[6],
         core::WaitKind kind) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  core::RuntimeSection section(*core::current());
  Call call;
  call.number = number;
  for (int i = 0; i < 6; ++i) {
    call.arguments[i] = arguments[i];
  }
  call.finished = on_finished;
  if (submit(call) < 0) {
    const long* a = arguments;
    return sys::call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  bool is_queued = true;
  bool interrupted = false;
  for (;;) {
    call.lock.lock();
    if (call.is_done) {
      call.lock.unlock();
      if (interrupted && call.result != -EINTR) {
        core::keep_interruption();
      }
      if (call.signal != 0) {
        raise_here(call.signal);
      }
      return call.result;
    }
    call.ticket = core::prepare_park();
    base::Deadline until =
        is_queued ? base::Deadline::after(base::now(), kPatience) : base::Deadline::never();
    core::Wake wake =
        core::park({kind, static_cast<uint64_t>(number)}, until, {unlock, &call.lock});
    interrupted |= wake == core::Wake::interrupted;
    if (wake == core::Wake::timed_out) {
      is_queued = add_helper_if_stuck(call);
    } else if (wake == core::Wake::interrupted && kind == core::WaitKind::helper) {
      interrupt_job(call);
      // The call was made, or it is on its way out: signals are left to its end from here on.
      kind = core::WaitKind::offload;
    }
  }
}

}  // namespace

long offload(long number, const long arguments[6]) {
  return run(number, arguments, core::WaitKind::offload);
}

long offload_interruptibly(long number, const long arguments[6]) {
  return run(number, arguments, core::WaitKind::helper);
}

}  // namespace ramie::event

#include "interpose/host/resent_signals.h"

#include <cerrno>
#include <cstdint>

#include "base/lock.h"
#include "base/sys.h"
#include "interpose/host/signal_masks.h"

namespace ramie::host {
namespace {

// Each has a number of its own, by which it is found again; if so many have followed that its place
// is another's, it is one of the process's own.  So what is lost in the kernel, since a signal of
// that kind is pending already, or is read by a signalfd, leaves nothing behind for a later one.
constexpr uint32_t kPlaces = 256;
struct Resent {
  uint32_t serial = 0;
  siginfo_t info = {};
};
constinit base::Lock lock;  // taken with all signals blocked
constinit Resent places[kPlaces] RAMIE_GUARDED_BY(lock) = {};
constinit uint32_t last RAMIE_GUARDED_BY(lock) = 0;

// What no program puts into the upper half of a value: an address of ours.
uint64_t mark() { return reinterpret_cast<uintptr_t>(&lock) << 32; }

uint32_t keep(const siginfo_t& info) {
  base::LockGuard guard(lock);
  last += last + 1 == 0 ? 2 : 1;  // never 0
  places[last % kPlaces] = {last, info};
  return last;
}

}  // namespace

void resend(int signal, const siginfo_t& info) {
  int process = sys::getpid();
  if (sys::call(SYS_rt_sigqueueinfo, process, signal, sys::arg(&info)) != -EPERM) {
    return;
  }
  siginfo_t ours{};
  ours.si_signo = signal;
  ours.si_code = SI_QUEUE;
  ours.si_pid = info.si_code <= 0 ? info.si_pid : process;
  ours.si_uid = info.si_code <= 0 ? info.si_uid : 0;
  siginfo_t kept = info;
  kept.si_signo = signal;
  ours.si_value.sival_ptr = reinterpret_cast<void*>(mark() | keep(kept));
  if (sys::failed(sys::call(SYS_rt_sigqueueinfo, process, signal, sys::arg(&ours)))) {
    (void)sys::call(SYS_kill, process, signal);  // too many are pending
  }
}

void restore_info(siginfo_t& info) {
  auto value = reinterpret_cast<uint64_t>(info.si_value.sival_ptr);
  if (info.si_code != SI_QUEUE || value >> 32 != mark() >> 32) {
    return;
  }
  auto serial = static_cast<uint32_t>(value);
  AllBlocked block;
  base::LockGuard guard(lock);
  Resent& place = places[serial % kPlaces];
  if (place.serial == serial && place.info.si_signo == info.si_signo) {
    info = place.info;
    place.serial = 0;
    return;
  }
  info.si_code = SI_USER;
  info.si_value = {};
}

void reset_resent_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.reset(); }

}  // namespace ramie::host

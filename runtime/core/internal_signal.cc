#include "core/internal_signal.h"

#include <atomic>
#include <cerrno>
#include <ctime>

#include "base/log.h"
#include "base/sys.h"

namespace ramie::core {
namespace {

// Whether the last attempts were in vain: then the next are few.
constinit std::atomic<bool> is_full = false;

long send(int tid, int code, const void* mark) {
  siginfo_t info{};
  info.si_signo = kInternalSignal;
  info.si_code = code;
  info.si_value.sival_ptr = const_cast<void*>(mark);
  return sys::call(SYS_rt_tgsigqueueinfo, sys::getpid(), tid, kInternalSignal, sys::arg(&info));
}

}  // namespace

void send_internal_signal(int tid, const void* mark) {
  constexpr int kTries = 50;
  constexpr timespec kPause = {0, 1'000'000};
  int tries = is_full.load(std::memory_order_relaxed) ? 1 : kTries;
  while (send(tid, SI_QUEUE, mark) == -EAGAIN) {
    if (tid == sys::gettid()) {
      // As kill() would send it, which only the thread itself may pretend: without room for what
      // comes with it, such a signal comes alone.
      (void)send(tid, SI_USER, nullptr);
      return;
    }
    if (--tries == 0) {
      is_full.store(true, std::memory_order_relaxed);
      static constinit std::atomic<bool> said = false;
      base::log_once(said, base::LogLevel::warn,
                     "a thread that computes gets no signals: too many are pending (ulimit -i)");
      return;
    }
    (void)sys::call(SYS_nanosleep, sys::arg(&kPause));
  }
  is_full.store(false, std::memory_order_relaxed);
}

}  // namespace ramie::core

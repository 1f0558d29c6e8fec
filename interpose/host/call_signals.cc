#include "interpose/host/call_signals.h"

#include "base/sys.h"
#include "core/carrier.h"
#include "core/signal_frame.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/signal_queue.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

constexpr uint64_t kSet = core::signal_bit(SIGPIPE) | core::signal_bit(SIGXFSZ);

}  // namespace

bool is_of_own_call(int signal, const siginfo_t& info) {
  return (core::signal_bit(signal) & kSet) != 0 && info.si_code == SI_USER &&
         info.si_pid == sys::getpid();
}

void keep_call_signal(Thread& thread, const siginfo_t& info) {
  (void)add_own(thread, info);
  if ((thread.blocked.load(std::memory_order_seq_cst) & core::signal_bit(info.si_signo)) == 0) {
    thread.fiber->signal_pending.store(true, std::memory_order_seq_cst);
  }
}

void take_call_signal(Thread& thread) {
  if ((thread.fiber->carrier->kernel_mask & kSet) == 0) {
    return;  // our handler has had them
  }
  siginfo_t info;
  constexpr timespec kNow{};
  long signal = sys::call(SYS_rt_sigtimedwait, sys::arg(&kSet), sys::arg(&info), sys::arg(&kNow),
                          sizeof kSet);
  if (signal < 0) {
    return;
  }
  if (is_of_own_call(static_cast<int>(signal), info)) {
    keep_call_signal(thread, info);
  } else {
    send_again(static_cast<int>(signal), info);
  }
}

}  // namespace ramie::host

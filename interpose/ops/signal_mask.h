// The signal mask that ppoll, pselect and epoll_pwait set for the length of the call (man 2
// select).
//
// The calling thread's mask is exchanged for the caller's; a signal that comes meanwhile ends the
// wait, and its handler runs before the old mask is back.  Light fibers share their thread's mask,
// so for them it is only set while the kernel looks.
#pragma once

#include "interpose/host/signal_state.h"
#include "interpose/host/thread.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {

class SignalMask {
 public:
  // The address of a kernel sigset_t and its size; no address leaves the mask as it is.
  SignalMask(long address, long size) {
    uint64_t mask = 0;
    host::Thread* thread = host::current_thread();
    if (thread != nullptr && size == sizeof mask && address != 0 && copy_in(mask, address)) {
      thread_ = thread;
      before_ = thread->blocked;
      host::take_before_opening(*thread, mask);
      host::set_blocked(*thread, mask);
    }
  }
  ~SignalMask() {
    if (thread_ != nullptr) {
      host::set_blocked(*thread_, before_);
    }
  }
  SignalMask(const SignalMask&) = delete;
  SignalMask& operator=(const SignalMask&) = delete;

  // Whether a signal waits that the new mask lets in: then there is nothing to wait for, and who
  // finds nothing is interrupted.
  [[nodiscard]] bool interrupted() const {
    return thread_ != nullptr && thread_->fiber->signal_pending.load(std::memory_order_relaxed);
  }

  // Makes the call, and runs the handlers if a signal has ended it.  Once more if none has run:
  // another carrier may have the signal, and is about to give it to this thread or to another one.
  template <class Call>
  long end_by_handlers(Call call) {
    for (;;) {
      long result = call();
      if (thread_ == nullptr || result != -EINTR) {
        return result;
      }
      uint16_t handled = thread_->handled;
      host::deliver_now(*thread_->fiber);
      if (thread_->handled != handled) {
        return result;
      }
    }
  }

 private:
  host::Thread* thread_ = nullptr;
  uint64_t before_ = 0;
};

}  // namespace ramie::ops

// The contract between the scheduler and whatever waits for events outside of the process.
//
// There is one poller, installed at the first wait for a descriptor; without one, idle carriers
// sleep on a futex.  One carrier at a time waits in it.  Implementations:
// event/poller_epoll, event/poller_io_uring.
#pragma once

#include "base/deadline.h"
#include "core/tls.h"

namespace ramie::core {

struct Poller {
  // Waits for events until `deadline` (a past one: looks, and doesn't wait), until wake(), or until
  // a signal comes; unparks the fibers whose events happened.  Called on a carrier's loop only.
  // Once the kernel is left, and before anything else, tls::refresh(cpu) puts the thread-locals in
  // place.
  void (*wait)(base::Deadline deadline, tls::Cpu& cpu) = nullptr;

  // Ends the wait() that is under way, or else the next one.  Any thread; async-signal-safe.
  void (*wake)() = nullptr;

  // Whether anything is waited for; if not, nothing can ever come.
  bool (*has_waiters)() = nullptr;
};

}  // namespace ramie::core

// The contract between the scheduler and whatever waits for events outside of the process.
//
// There is one poller, installed at the first wait for a descriptor; without one, idle carriers
// sleep on a futex.  One carrier at a time waits in it: event/poller_epoll.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/deadline.h"
#include "core/tls.h"

namespace ramie::core {

struct Carrier;

struct Poller {
  // Waits for events until `deadline` (a past one: looks, and doesn't wait), until wake(), or until
  // a signal comes; unparks the fibers whose events happened.  Called on a carrier's loop only.
  // Once the kernel is left, and before anything else, tls::refresh(cpu) puts the thread-locals in
  // place.  `mask`, unless it is null, is what the kernel blocks meanwhile instead of the thread's
  // signals, read when the call begins.  False if the kernel has looked for signals, which it need
  // not where there was an event at once, or no time to wait.
  bool (*wait)(base::Deadline deadline, tls::Cpu& cpu, const std::atomic<uint64_t>* mask) = nullptr;

  // Ends the wait() that is under way, or else the next one.  Any thread; async-signal-safe.
  void (*wake)() = nullptr;

  // Whether anything is waited for; if not, nothing can ever come.
  bool (*has_waiters)() = nullptr;

  // Whether there are events that the wait() under way has not seen yet.  Any thread.
  bool (*has_events)() = nullptr;
};

// What a carrier may have of its own: a ring, by which calls of its fibers are made
// (event/carrier_uring.h). Called by its kernel thread alone.
struct CarrierRing {
  // Submits what its fibers have asked for, and unparks those whose calls are over; doesn't wait.
  // Whether a look at the poller may find something.
  bool (*look)(CarrierRing& ring, Carrier& carrier) = nullptr;

  // The same, and waits: with the poller until a call is over, or as that one's wait(); without one
  // until a call is over, or the carrier's word is no longer kInFutex (crew.h).
  void (*wait)(CarrierRing& ring, Carrier& carrier, base::Deadline deadline,
               const Poller* poller) = nullptr;

  // The kernel thread ends.
  void (*close)(CarrierRing& ring, Carrier& carrier) = nullptr;
};

}  // namespace ramie::core

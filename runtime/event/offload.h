// Blocking system calls that no readiness tells anything about (flock, fsync, opening a FIFO, files
// on slow disks), made by a helper thread while the fiber is parked.
//
// Not for calls that belong to the calling thread (its credentials, timers, signal mask, robust
// list), and not for any that wants thread-locals.
#pragma once

namespace ramie::event {

// Makes one system call and returns its result, -errno on failure.  Switches fibers.  The call runs
// to its end, however long that takes: neither a signal nor a deadline cuts it short.  Where no
// helper can be had, the call is made in place and blocks the carrier.  Only on a fiber.
long offload(long number, const long arguments[6]);

// The same for a call that may wait for ever: a signal for the fiber interrupts it where the kernel
// lets one, and then it returns -EINTR.  It has ended by the time that this returns, for what the
// arguments point to may be on the caller's stack.
long offload_interruptibly(long number, const long arguments[6]);

}  // namespace ramie::event

// Calls by completion (io_uring), for whichever carrier runs the fiber that makes them.
//
// accept and connect, for sockets in blocking mode: a fiber can't try these two without blocking
// unless O_NONBLOCK is set, and that belongs to the open file description, which other processes
// may share.  The ring makes the call for us and leaves the description alone.
//
// Reads of files whose data has to come from a disk.
//
// And waits that no descriptor stands for, so that nobody else could report their end: for a futex
// that other processes wake, and for children of which no pidfd tells.
#pragma once

#include <sys/socket.h>
#include <sys/uio.h>

#include <cstdint>

#include "base/deadline.h"

namespace ramie::event {

// Whether the kernel lets us have a ring.  Opens it at the first call.
[[nodiscard]] bool uring_available();

// All of these park until the call is over and return its result, -errno on failure; -ETIMEDOUT
// when the deadline passed, -EINTR when a signal is to be handled, -ENOSYS where the kernel does
// not take it: without a ring, or short of memory.  In all cases it is done with the arguments.
// Only on a fiber.

// accept4(2) and connect(2).  -ECANCELED by an interruption (core/interruptible.h).  After
// -ETIMEDOUT or -EINTR a connection goes on being established, as it does natively (man 2 connect,
// EINTR). A description's own O_NONBLOCK is not looked at: sockets that have it are the caller's
// business. Closing the descriptor doesn't end the call, shutdown(2) does; also that is as
// natively.
long uring_accept(int fd, sockaddr* address, socklen_t* length, int flags, base::Deadline deadline);
long uring_connect(int fd, const sockaddr* address, socklen_t length, base::Deadline deadline);

// FUTEX_WAIT_BITSET on a word that processes share: 0 when it was woken, -EAGAIN where it holds
// another value.  Linux 6.7.
long uring_wait_futex(const uint32_t* word, uint32_t value, uint32_t bits, base::Deadline deadline);

// waitid(2) with WNOWAIT, and without a siginfo.  Linux 6.7.
long uring_wait_child(int idtype, id_t id, int options, base::Deadline deadline);

// preadv(2).  As that, it is not cut short by a signal.
long uring_read(int fd, const iovec* list, long count, long offset);

// After fork, in the child: unmaps the parent's ring.
void reset_uring();

}  // namespace ramie::event

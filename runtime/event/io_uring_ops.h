// accept and connect by completion (io_uring), for sockets in blocking mode.
//
// A fiber can't try these two without blocking unless O_NONBLOCK is set, and that belongs to the
// open file description, which other processes may share.  The ring makes the call for us and
// leaves the description alone.
#pragma once

#include <sys/socket.h>

#include "base/deadline.h"

namespace ramie::event {

// Whether the kernel lets us have a ring.  Opens it at the first call.
[[nodiscard]] bool uring_available();

// accept4(2) and connect(2).  They park until the call is over and return its result, -errno on
// failure; -ETIMEDOUT when the deadline passed, -EINTR when a signal is to be handled, -ECANCELED
// by an interruption (core/interruptible.h), -ENOSYS
// where uring_available() is false.  In all cases the kernel is done with the arguments.  After
// -ETIMEDOUT or -EINTR a connection goes on being established, as it does natively (man 2 connect,
// EINTR). A description's own O_NONBLOCK is not looked at: sockets that have it are the caller's
// business. Closing the descriptor doesn't end the call, shutdown(2) does; also that is as
// natively. Only on a fiber.
long uring_accept(int fd, sockaddr* address, socklen_t* length, int flags, base::Deadline deadline);
long uring_connect(int fd, const sockaddr* address, socklen_t length, base::Deadline deadline);

// After fork, in the child: unmaps the parent's ring.
void reset_uring();

}  // namespace ramie::event

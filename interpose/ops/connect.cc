// accept, accept4 and connect: the kernel has no flag by which these could be tried without
// blocking, so they are handed to io_uring, which never looks at O_NONBLOCK.
#include <poll.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "event/io_uring_ops.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/ops/descriptor.h"
#include "interpose/ops/file_in_use.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

long interrupted(base::Deadline deadline) { return deadline.is_never() ? sys::kRestart : -EINTR; }

// Without a ring.  Between the look and the call somebody else (another process, a kernel thread
// that isn't a carrier) may take the connection; then the call blocks the carrier until the next
// one.
long accept_when_ready(int fd, const long* a, long flags, base::Deadline deadline) {
  FileInUse file(fd);
  while (!is_ready(file.fd(), POLLIN)) {
    long result = file.wait(POLLIN, deadline);
    if (result == -EPERM) {
      break;  // not a socket; the call says so
    }
    if (result != 0) {
      return result;
    }
  }
  return sys::call(SYS_accept4, file.fd(), a[1], a[2], flags);
}

long accept_with_flags(const long* a, long flags) {
  int fd = static_cast<int>(a[0]);
  blocking_sockets::Birth birth;
  base::Deadline deadline;
  if (!reads_without_end(fd)) {
    if (is_non_blocking(fd)) {
      return sys::call(SYS_accept4, fd, a[1], a[2], flags);
    }
    deadline = socket_deadline(fd, Limit::receive);
  }
  long result =
      event::uring_accept(fd, reinterpret_cast<sockaddr*>(a[1]), reinterpret_cast<socklen_t*>(a[2]),
                          static_cast<int>(flags), deadline);
  if (result == -ENOSYS) {
    result = accept_when_ready(fd, a, flags, deadline);
  }
  switch (result) {
    case -ETIMEDOUT:
      return -EAGAIN;
    case -EINTR:
      return interrupted(deadline);
    default:
      if (result >= 0) {
        begin_socket(static_cast<int>(result), birth, (flags & SOCK_NONBLOCK) == 0);
      }
      return result;
  }
}

// Somebody has begun to connect this socket: an earlier call that a signal or a time-out ended, or
// another thread.  The kernel then waits for the outcome, and so does this.
long await_connection(const long* a, base::Deadline deadline) {
  FileInUse file(static_cast<int>(a[0]));
  while (!is_ready(file.fd(), POLLOUT)) {
    if (long result = file.wait(POLLOUT, deadline); result != 0) {
      return result == -ETIMEDOUT ? -EALREADY : result;
    }
  }
  return sys::call(SYS_connect, file.fd(), a[1], a[2]);
}

}  // namespace

long accept(const long* a) { return accept_with_flags(a, 0); }

long accept4(const long* a) { return accept_with_flags(a, a[3]); }

long connect(const long* a) {
  int fd = static_cast<int>(a[0]);
  if (is_non_blocking(fd)) {
    return sys::call(SYS_connect, fd, a[1], a[2]);
  }
  base::Deadline deadline = socket_deadline(fd, Limit::send);
  long result = event::uring_connect(fd, reinterpret_cast<const sockaddr*>(a[1]),
                                     static_cast<socklen_t>(a[2]), deadline);
  if (result == -ENOSYS) {
    return offload_and_restart(SYS_connect, a);
  }
  if (result == -EALREADY) {
    result = await_connection(a, deadline);
  }
  switch (result) {
    case -ETIMEDOUT:
      // The network's own time-out has the same name.
      return deadline.passed(base::now()) ? -EINPROGRESS : result;
    case -EINTR:
      return interrupted(deadline);
    default:
      return result;
  }
}

}  // namespace ramie::ops

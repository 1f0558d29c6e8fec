#include "interpose/ops/stream.h"

#include <poll.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

msghdr message_of(IovCursor& list) {
  msghdr message = {};
  message.msg_iov = list.window();
  message.msg_iovlen = list.window_size();
  return message;
}

}  // namespace

long finish_send(FileInUse& file, IovCursor& list, long sent, int flags) {
  list.advance(static_cast<size_t>(sent));
  Wait wait(file, POLLOUT, Limit::send);
  flags = (flags & ~MSG_FASTOPEN) | MSG_DONTWAIT | MSG_NOSIGNAL;
  while (!list.done()) {
    // A broken connection's error (SO_ERROR) is left for the program's next call to report.
    if (wait.again() != 0 || has_ended(file.fd(), 0)) {
      return sent;
    }
    msghdr message = message_of(list);
    long result = sys::call(SYS_sendmsg, file.fd(), sys::arg(&message), flags);
    if (result == -EAGAIN) {
      continue;
    }
    if (result <= 0) {
      return sent;
    }
    sent += result;
    list.advance(static_cast<size_t>(result));
  }
  return sent;
}

bool can_wait_for_all(int fd) {
  int type = 0;
  socklen_t size = sizeof type;
  long result =
      sys::call(SYS_getsockopt, fd, SOL_SOCKET, SO_TYPE, sys::arg(&type), sys::arg(&size));
  return !sys::failed(result) && type == SOCK_STREAM && !is_non_blocking(fd);
}

long finish_receive(FileInUse& file, IovCursor& list, long received, int flags) {
  list.advance(static_cast<size_t>(received));
  Wait wait(file, POLLIN, Limit::receive);
  while (!list.done()) {
    msghdr message = message_of(list);
    long result = sys::call(SYS_recvmsg, file.fd(), sys::arg(&message), flags | MSG_DONTWAIT);
    if (result == -EAGAIN) {
      if (wait.again() != 0 || has_ended_empty(file.fd())) {
        return received;
      }
      continue;
    }
    if (result <= 0) {
      return received;
    }
    received += result;
    list.advance(static_cast<size_t>(result));
  }
  return received;
}

}  // namespace ramie::ops

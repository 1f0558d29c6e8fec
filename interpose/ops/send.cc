// sendto, sendmsg, sendmmsg.
#include <limits.h>
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/sys.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/ops/iov_cursor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/stream.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

// Calls try(), which must not block, until it has something to return.
template <class Try>
long send(FileInUse& file, Try try_now) {
  Wait wait(file, POLLOUT, Limit::send);
  for (;;) {
    long result = try_now();
    if (result != -EAGAIN) {
      return result;
    }
    if (long end = wait.again(); end != 0) {
      return end;
    }
  }
}

// A send that also connects (MSG_FASTOPEN) can't be tried: it would answer EINPROGRESS.
bool must_be_offloaded(int fd, long flags) {
  return (flags & MSG_FASTOPEN) != 0 && !is_non_blocking(fd);
}

// Sends the rest of a message of which a stream has taken the first `sent` bytes.
long finish_message(FileInUse& file, const msghdr& message, long sent, long flags) {
  IovCursor rest(message.msg_iov, message.msg_iovlen);
  return finish_send(file, rest, sent, static_cast<int>(flags));
}

// Whether a message that the kernel has taken gave descriptors to its receiver.
bool passes_descriptors(const msghdr& message) {
  for (const cmsghdr* part = CMSG_FIRSTHDR(&message); part != nullptr;
       part = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(part))) {
    if (part->cmsg_level == SOL_SOCKET && part->cmsg_type == SCM_RIGHTS) {
      return true;
    }
  }
  return false;
}

long send_message(const long* a) {
  int fd = static_cast<int>(a[0]);
  long flags = a[2];
  if ((flags & MSG_DONTWAIT) != 0) {
    return sys::call(SYS_sendmsg, fd, a[1], flags);
  }
  if (must_be_offloaded(fd, flags)) {
    return offload_and_restart(SYS_sendmsg, a);
  }
  FileInUse file(fd);
  long result =
      send(file, [&] { return sys::call(SYS_sendmsg, file.fd(), a[1], flags | MSG_DONTWAIT); });
  return result <= 0 ? result
                     : finish_message(file, *reinterpret_cast<const msghdr*>(a[1]), result, flags);
}

// Message by message, as the kernel does: a stream may take a part of one.
long send_messages(const long* a) {
  int fd = static_cast<int>(a[0]);
  auto* messages = reinterpret_cast<mmsghdr*>(a[1]);
  long count = std::min<long>(static_cast<unsigned>(a[2]), IOV_MAX);
  long flags = a[3];
  if (count == 0 || (flags & MSG_DONTWAIT) != 0) {
    return sys::call(SYS_sendmmsg, fd, a[1], a[2], flags);
  }
  if (must_be_offloaded(fd, flags)) {
    return offload_and_restart(SYS_sendmmsg, a);
  }
  FileInUse file(fd);
  long sent = 0;
  while (sent < count) {
    long result = send(file, [&] {
      return sys::call(SYS_sendmmsg, file.fd(), sys::arg(messages + sent), count - sent,
                       flags | MSG_DONTWAIT);
    });
    if (result <= 0) {
      return sent > 0 ? sent : result;
    }
    sent += result;
    mmsghdr& last = messages[sent - 1];
    last.msg_len = static_cast<unsigned>(finish_message(file, last.msg_hdr, last.msg_len, flags));
  }
  return sent;
}

}  // namespace

long sendto(const long* a) {
  int fd = static_cast<int>(a[0]);
  long flags = a[3];
  if ((flags & MSG_DONTWAIT) != 0) {
    return sys::call(SYS_sendto, fd, a[1], a[2], flags, a[4], a[5]);
  }
  if (must_be_offloaded(fd, flags)) {
    return offload_and_restart(SYS_sendto, a);
  }
  FileInUse file(fd);
  long result = send(file, [&] {
    return sys::call(SYS_sendto, file.fd(), a[1], a[2], flags | MSG_DONTWAIT, a[4], a[5]);
  });
  // Longer than any transfer of the kernel's is cut as the kernel does.
  long size = a[2] < 0 || a[2] > (INT_MAX & ~4095L) ? INT_MAX & ~4095L : a[2];
  if (result <= 0 || result >= size) {
    return result;
  }
  iovec buffer = {reinterpret_cast<void*>(a[1]), static_cast<size_t>(size)};
  IovCursor rest(&buffer, 1);
  return finish_send(file, rest, result, static_cast<int>(flags));
}

long sendmsg(const long* a) {
  long result = send_message(a);
  if (result >= 0 && passes_descriptors(*reinterpret_cast<const msghdr*>(a[1]))) {
    blocking_sockets::note_sharing();
  }
  return result;
}

long sendmmsg(const long* a) {
  long sent = send_messages(a);
  const auto* messages = reinterpret_cast<const mmsghdr*>(a[1]);
  for (long i = 0; i < sent; ++i) {
    if (passes_descriptors(messages[i].msg_hdr)) {
      blocking_sockets::note_sharing();
    }
  }
  return sent;
}

}  // namespace ramie::ops

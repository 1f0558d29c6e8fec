// recvfrom, recvmsg, recvmmsg.
#include <poll.h>
#include <sys/socket.h>

#include <algorithm>

#include "base/sys.h"
#include "interpose/host/signalfds.h"
#include "interpose/ops/input.h"
#include "interpose/ops/iov_cursor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/stream.h"
#include "interpose/ops/user_memory.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

// MSG_PEEK with MSG_WAITALL: nothing is taken off, so each try starts at the beginning, and ends
// when it sees all that was asked for or the stream's end.
template <class Try>
long peek_all(FileInUse& file, long size, Try try_now) {
  Wait wait(file, POLLIN, Limit::receive);
  for (;;) {
    long result = try_now();
    if (result != -EAGAIN && (result <= 0 || result >= size || !can_wait_for_all(file.fd()) ||
                              has_ended(file.fd(), POLLRDHUP))) {
      return result;
    }
    if (long end = wait.again(); end != 0) {
      return result > 0 ? result : end;
    }
  }
}

size_t size_of(const msghdr& message) {
  size_t size = 0;
  for (size_t i = 0; i < message.msg_iovlen; ++i) {
    size += message.msg_iov[i].iov_len;
  }
  return size;
}

int domain_of(int fd) {
  int domain = 0;
  socklen_t size = sizeof domain;
  (void)sys::call(SYS_getsockopt, fd, SOL_SOCKET, SO_DOMAIN, sys::arg(&domain), sys::arg(&size));
  return domain;
}

// Urgent data and error queues never wait, even on a blocking socket (man 2 recv); families without
// an error queue ignore that flag.
bool never_waits(int fd, long flags) {
  if ((flags & MSG_OOB) != 0) {
    event::distrust_input(fd);  // a read ends at the mark, though more may follow
    return true;
  }
  if ((flags & MSG_DONTWAIT) != 0) {
    return true;
  }
  int domain = (flags & MSG_ERRQUEUE) != 0 ? domain_of(fd) : AF_UNIX;
  return domain != AF_UNIX && domain != AF_NETLINK;
}

// Answers `result`.
long with_descriptors(long result, const msghdr& message) {
  if (result >= 0 && message.msg_controllen > 0) {
    host::note_received(message);
  }
  return result;
}

long with_descriptors(long result, const mmsghdr* messages) {
  for (long i = 0; i < result; ++i) {
    (void)with_descriptors(0, messages[i].msg_hdr);
  }
  return result;
}

}  // namespace

long recvfrom(const long* a) {
  int fd = static_cast<int>(a[0]);
  bool peeks = (a[3] & MSG_PEEK) != 0;
  if (never_waits(fd, a[3])) {
    event::InputGlance input(fd);
    long result = sys::call(SYS_recvfrom, fd, a[1], a[2], a[3], a[4], a[5]);
    if (result > 0 && result < a[2] && (a[3] & (MSG_PEEK | MSG_OOB | MSG_ERRQUEUE)) == 0) {
      input.got_less();  // for the poll that mostly follows
    }
    return result;
  }
  FileInUse file(fd);
  auto try_now = [&] {
    return sys::call(SYS_recvfrom, file.fd(), a[1], a[2], a[3] | MSG_DONTWAIT, a[4], a[5]);
  };
  auto asked_for = [&] { return peeks ? 0 : static_cast<size_t>(a[2]); };
  if ((a[3] & MSG_WAITALL) == 0) {
    return receive(file, a[2] > 0, try_now, asked_for);
  }
  if (peeks) {
    return peek_all(file, a[2], try_now);
  }
  long result = receive(file, a[2] > 0, try_now, asked_for);
  if (result <= 0 || result >= a[2] || !can_wait_for_all(file.fd())) {
    return result;
  }
  iovec buffer = {reinterpret_cast<void*>(a[1]), static_cast<size_t>(a[2])};
  IovCursor rest(&buffer, 1);
  return finish_receive(file, rest, result, static_cast<int>(a[3]));
}

long recvmsg(const long* a) {
  int fd = static_cast<int>(a[0]);
  // Wherever this is read, the kernel has read and written it before.
  const msghdr& message = *reinterpret_cast<const msghdr*>(a[1]);
  if (never_waits(fd, a[2])) {
    return with_descriptors(sys::call(SYS_recvmsg, fd, a[1], a[2]), message);
  }
  FileInUse file(fd);
  auto try_now = [&] {
    return with_descriptors(sys::call(SYS_recvmsg, file.fd(), a[1], a[2] | MSG_DONTWAIT), message);
  };
  long result =
      receive(file, false, try_now, [&] { return (a[2] & MSG_PEEK) != 0 ? 0 : size_of(message); });
  if ((a[2] & MSG_WAITALL) == 0 || result <= 0) {
    return result;
  }
  // What follows descriptors or credentials on a UNIX socket belongs to the next message.
  size_t size = size_of(message);
  if (static_cast<size_t>(result) >= size || !can_wait_for_all(file.fd()) ||
      (message.msg_controllen > 0 && domain_of(file.fd()) == AF_UNIX)) {
    return result;
  }
  if ((a[2] & MSG_PEEK) != 0) {
    return peek_all(file, static_cast<long>(size), try_now);
  }
  IovCursor rest(message.msg_iov, message.msg_iovlen);
  return finish_receive(file, rest, result, static_cast<int>(a[2]));
}

// The time-out is looked at after each message only, as in Linux (man 2 recvmmsg, BUGS); what is
// left of it is stored.
long recvmmsg(const long* a) {
  int fd = static_cast<int>(a[0]);
  auto* messages = reinterpret_cast<mmsghdr*>(a[1]);
  long count = static_cast<unsigned>(a[2]);
  long flags = a[3];
  timespec timeout;
  if (a[4] != 0 && !copy_in(timeout, a[4])) {
    return -EFAULT;
  }
  if (count == 0 || never_waits(fd, flags) || (a[4] != 0 && !base::is_valid(timeout))) {
    return with_descriptors(sys::call(SYS_recvmmsg, fd, a[1], a[2], flags, a[4]), messages);
  }
  base::Deadline deadline = a[4] == 0 ? base::Deadline::never()
                                      : base::Deadline::after(base::now(), base::to_nanos(timeout));
  FileInUse file(fd);
  long received = 0;
  while (received < count) {
    auto try_now = [&] {
      return with_descriptors(sys::call(SYS_recvmmsg, file.fd(), sys::arg(messages + received),
                                        count - received, flags | MSG_DONTWAIT),
                              messages + received);
    };
    long result = receive(file, false, try_now, [] { return size_t{0}; });
    if (result <= 0) {
      received = received > 0 ? received : result;
      break;
    }
    received += result;
    if ((flags & MSG_WAITFORONE) != 0 || deadline.passed(base::now())) {
      break;
    }
  }
  if (a[4] != 0 && received > 0) {
    int64_t left = std::max<int64_t>(deadline.nanos - base::now(), 0);
    copy_out(a[4], deadline.is_never() ? timeout : base::to_timespec(left));
  }
  return received;
}

}  // namespace ramie::ops

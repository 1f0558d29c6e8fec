#include "interpose/ops/wait.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "base/sys.h"
#include "core/interruptible.h"
#include "core/park.h"
#include "event/reactor.h"
#include "interpose/ops/blocking_sockets.h"

namespace ramie::ops {

base::Deadline socket_deadline(int fd, Limit limit) {
  timeval timeout = {};
  socklen_t size = sizeof timeout;
  int option = limit == Limit::receive ? SO_RCVTIMEO : SO_SNDTIMEO;
  long result = limit == Limit::none ? -ENOTSOCK
                                     : sys::call(SYS_getsockopt, fd, SOL_SOCKET, option,
                                                 sys::arg(&timeout), sys::arg(&size));
  if (sys::failed(result) || (timeout.tv_sec == 0 && timeout.tv_usec == 0)) {
    return base::Deadline::never();
  }
  return base::Deadline::after(base::now(),
                               base::to_nanos({timeout.tv_sec, timeout.tv_usec * 1000}));
}

bool is_non_blocking(int fd) {
  long flags = sys::call(SYS_fcntl, fd, F_GETFL);
  return !sys::failed(flags) && (flags & O_NONBLOCK) != 0;
}

bool reads_without_end(int fd) { return blocking_sockets::Question(fd).is_answered(); }

bool is_ready(int fd, short events) {
  pollfd p = {fd, events, 0};
  return sys::call(SYS_poll, sys::arg(&p), 1, 0) > 0;
}

namespace {

int option_of(int fd, int level, int option) {
  int value = -1;
  socklen_t size = sizeof value;
  (void)sys::call(SYS_getsockopt, fd, level, option, sys::arg(&value), sys::arg(&size));
  return value;
}

bool is_tcp(int fd) { return option_of(fd, SOL_SOCKET, SO_PROTOCOL) == IPPROTO_TCP; }

// TCP has an error without a hang-up only where the program has asked for each that a router tells
// of (man 7 ip, IP_RECVERR).
bool is_message_at_most(int fd) {
  return is_tcp(fd) && option_of(fd, IPPROTO_IP, IP_RECVERR) == 0 &&
         option_of(fd, IPPROTO_IPV6, IPV6_RECVERR) <= 0;
}

}  // namespace

bool has_ended(int fd, short events) {
  pollfd p = {fd, events, 0};
  if (sys::call(SYS_poll, sys::arg(&p), 1, 0) <= 0) {
    return false;
  }
  return p.revents != POLLERR || !is_message_at_most(fd);
}

bool has_ended_empty(int fd) {
  int left = 0;
  return has_ended(fd, 0) && is_tcp(fd) &&
         sys::call(SYS_ioctl, fd, FIONREAD, sys::arg(&left)) == 0 && left == 0;
}

// Asks the kernel for what decides how the call waits.
long Wait::begin() {
  int fd = file_.fd();
  blocking_sockets::Question question(fd);
  if (limit_ == Limit::receive && question.is_answered()) {
    return 0;
  }
  long flags = sys::call(SYS_fcntl, fd, F_GETFL);
  if (sys::failed(flags)) {
    return flags;
  }
  // Poll would never report these; the call doesn't get as far as blocking.
  if ((flags & O_ACCMODE) == (events_ == POLLIN ? O_WRONLY : O_RDONLY)) {
    return -EBADF;
  }
  if ((flags & O_NONBLOCK) != 0) {
    return -EAGAIN;
  }
  deadline_ = socket_deadline(fd, limit_);
  if (limit_ == Limit::receive && deadline_.is_never()) {
    question.note_answer();
  }
  return 0;
}

long Wait::again() {
  if (!begun_) {
    begun_ = true;
    if (long end = begin(); end != 0) {
      return end;
    }
  }
  core::Interruptible section;
  long result = limit_ == Limit::send ? wait_to_send() : file_.wait(events_, deadline_);
  switch (result) {
    case -ETIMEDOUT:
      return -EAGAIN;
    case -EINTR:
      return deadline_.is_never() ? sys::kRestart : -EINTR;
    default:
      return result;
  }
}

// A socket can refuse to send and be writable for poll all the same: a UNIX datagram socket whose
// receiver's queue is full and to which it isn't connected, or TCP when the system is short of
// memory.  No event ever ends that, so such a wait is a short sleep.  For a connected UNIX datagram
// socket poll has a second use: only poll asks the receiver to report when it has room.
long Wait::wait_to_send() {
  pollfd p = {file_.fd(), events_, 0};
  // An error that the try has not taken waits in the error queue, and says nothing.
  if (sys::call(SYS_poll, sys::arg(&p), 1, 0) <= 0 || p.revents == POLLERR) {
    refused_while_ready_ = false;
    return file_.wait(events_, deadline_);
  }
  if (!refused_while_ready_) {
    refused_while_ready_ = true;
    return 0;
  }
  constexpr int64_t kPause = 1'000'000;
  base::Deadline pause_end = base::Deadline::after(base::now(), kPause);
  if (deadline_ <= pause_end) {
    pause_end = deadline_;
  }
  switch (core::sleep_until(pause_end)) {
    case core::Wake::interrupted:
      return -EINTR;
    case core::Wake::cancelled:
      return -ECANCELED;
    default:
      break;
  }
  return deadline_.passed(base::now()) ? -ETIMEDOUT : 0;
}

}  // namespace ramie::ops

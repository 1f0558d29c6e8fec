#include "interpose/ops/transfer.h"

#include <limits.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include <algorithm>

#include "base/sys.h"
#include "interpose/host/names.h"
#include "interpose/ops/file_read.h"
#include "interpose/ops/iov_cursor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/user_memory.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {

constinit DescriptorHints descriptor_hints;

namespace {

struct PlainCall {
  long number;
  long arguments[6];
};

// The call as the program made it.
PlainCall plain_call(const Transfer& t) {
  if (t.flags != 0) {
    return {t.reads() ? SYS_preadv2 : SYS_pwritev2,
            {t.fd, sys::arg(t.iov), t.count, -1, 0, t.flags}};
  }
  if (t.is_vector) {
    return {t.reads() ? SYS_readv : SYS_writev, {t.fd, sys::arg(t.iov), t.count}};
  }
  return {t.reads() ? SYS_read : SYS_write,
          {t.fd, sys::arg(t.iov->iov_base), static_cast<long>(t.iov->iov_len)}};
}

}  // namespace

long call_plainly(const Transfer& t) {
  PlainCall c = plain_call(t);
  const long* a = c.arguments;
  return sys::call(c.number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

long call_offloaded(const Transfer& t) {
  PlainCall c = plain_call(t);
  return offload_and_restart(c.number, c.arguments);
}

namespace {

// -EBADF: the hint was wrong.
long rename_thread(const Transfer& t) {
  iovec text{};
  return copy_in(text, sys::arg(t.iov)) && looks_mapped(sys::arg(text.iov_base))
             ? host::write_name(t.fd, static_cast<const char*>(text.iov_base), text.iov_len)
             : -EFAULT;
}

bool is_terminal(int fd) {
  termios unused;
  return sys::call(SYS_ioctl, fd, TCGETS, sys::arg(&unused)) == 0;
}

bool is_fifo(int fd) {
  struct stat status;
  return !sys::failed(sys::call(SYS_fstat, fd, sys::arg(&status))) && S_ISFIFO(status.st_mode);
}

Way classify(int fd, Direction direction) {
  struct stat status;
  if (sys::failed(sys::call(SYS_fstat, fd, sys::arg(&status)))) {
    return Way::unknown;
  }
  switch (status.st_mode & S_IFMT) {
    case S_IFSOCK:
      return Way::socket;
    case S_IFREG:
    case S_IFBLK:
      return direction == Direction::read ? way_of_file(fd) : Way::plain;
    case S_IFDIR:
    case S_IFLNK:
      return Way::plain;
    case S_IFCHR:
      return is_terminal(fd) ? Way::terminal : Way::nowait;
    default:
      return Way::nowait;
  }
}

long try_nowait(const Transfer& t) {
  return sys::call(t.reads() ? SYS_preadv2 : SYS_pwritev2, t.fd, sys::arg(t.iov), t.count, -1, 0,
                   t.flags | RWF_NOWAIT);
}

// -ENOTSOCK: the hint was wrong.
long try_socket(const Transfer& t) {
  if (!t.is_vector) {
    return sys::call(t.reads() ? SYS_recvfrom : SYS_sendto, t.fd, sys::arg(t.iov->iov_base),
                     static_cast<long>(t.iov->iov_len), MSG_DONTWAIT);
  }
  // A kernel that has no RWF_NOWAIT for sockets has looked at the list all the same, so it can be
  // read safely.  Nothing in it means nothing to do; recvmsg would take a datagram off the queue.
  long result = try_nowait(t);
  if (result != -EOPNOTSUPP || t.flags != 0) {
    return result;
  }
  msghdr message = {};
  message.msg_iov = const_cast<iovec*>(t.iov);
  message.msg_iovlen = static_cast<size_t>(t.count);
  return IovCursor(t.iov, message.msg_iovlen).done()
             ? 0
             : sys::call(t.reads() ? SYS_recvmsg : SYS_sendmsg, t.fd, sys::arg(&message),
                         MSG_DONTWAIT);
}

// A background job's read from its terminal stops the job or fails, whether there is input or not.
// The master side of a pseudo-terminal answers for the slave's foreground, but stops nobody.
bool is_background(int fd) {
  int foreground = 0;
  unsigned number = 0;
  return sys::call(SYS_ioctl, fd, TIOCGPGRP, sys::arg(&foreground)) == 0 &&
         foreground != sys::call(SYS_getpgrp) &&
         sys::failed(sys::call(SYS_ioctl, fd, TIOCGPTN, sys::arg(&number)));
}

// An eventfd is writable for poll if 1 can be added to it; a large value may still block.
bool may_overflow_eventfd(const Transfer& t) {
  uint64_t value = 0;
  return !t.is_vector && t.iov->iov_len == sizeof value &&
         copy_in(value, sys::arg(t.iov->iov_base)) && value >> 32 != 0;
}

// For what knows no RWF_NOWAIT: -EAGAIN unless poll says that it is ready.
long try_polled(const Transfer& t, Way way) {
  if (!is_ready(t.fd, t.events()) && !(way == Way::terminal && t.reads() && is_background(t.fd))) {
    return -EAGAIN;
  }
  if (t.reads() || is_non_blocking(t.fd)) {
    return call_plainly(t);
  }
  // More than PIPE_BUF at once is not atomic anyway (man 7 pipe), so the caller continues a piece.
  if (way == Way::fifo && !t.is_vector) {
    iovec piece = {t.iov->iov_base, std::min<size_t>(t.iov->iov_len, PIPE_BUF)};
    Transfer part = t;
    part.iov = &piece;
    return call_plainly(part);
  }
  if (way != Way::polled || may_overflow_eventfd(t)) {
    return call_offloaded(t);
  }
  return call_plainly(t);
}

}  // namespace

Way learn_way(int fd, Direction direction) {
  Way way = classify(fd, direction);
  if (way != Way::unknown) {
    descriptor_hints.set(fd, direction, way);
  }
  return way;
}

long try_once(const Transfer& t, Way& way) {
  for (;;) {
    long result = 0;
    switch (way) {
      case Way::unknown:
        way = learn_way(t.fd, t.direction);
        if (way == Way::unknown) {
          return call_plainly(t);  // not open: that is true now, and not a moment later
        }
        continue;
      case Way::plain:
        return call_plainly(t);
      case Way::file:
      case Way::cold_file:
        return read_file(t, way);
      case Way::thread_name:
        result = rename_thread(t);
        if (result == -EBADF) {
          way = Way::unknown;
          continue;
        }
        return result;
      case Way::polled:
      case Way::fifo:
      case Way::terminal:
        return try_polled(t, way);
      case Way::socket:
        result = try_socket(t);
        if (result == -ENOTSOCK) {
          way = Way::unknown;
          continue;
        }
        return result;
      case Way::nowait:
        result = try_nowait(t);
        if (result == -EOPNOTSUPP) {
          way = is_fifo(t.fd) ? Way::fifo : Way::polled;
          if (t.flags == 0) {  // else it may be the flags that aren't supported
            descriptor_hints.set(t.fd, t.direction, way);
          }
          continue;
        }
        return result;
    }
  }
}

}  // namespace ramie::ops

// read, write and their vector forms: tries and waits in turn, until there is something to return.
#include <limits.h>
#include <linux/fs.h>
#include <sys/socket.h>

#include "base/sys.h"
#include "interpose/ops/file_read.h"
#include "interpose/ops/input.h"
#include "interpose/ops/iov_cursor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/stream.h"
#include "interpose/ops/transfer.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

constexpr long kMostAtOnce = INT_MAX & ~4095L;  // the kernel's own limit, MAX_RW_COUNT

Limit limit_of(const Transfer& t, Way way) {
  if (way != Way::socket) {
    return Limit::none;
  }
  return t.reads() ? Limit::receive : Limit::send;
}

size_t size_of(const Transfer& t) {
  size_t size = 0;
  for (long i = 0; i < t.count; ++i) {
    size += t.iov[i].iov_len;
  }
  return size;
}

// What would block, and of which poll tells an error and nothing else, tells nothing by poll: a
// userfaultfd, as long as it isn't made non-blocking.  A socket has an error queue.
bool is_silent(const Transfer& t, Way way) {
  pollfd p = {t.fd, t.events(), 0};
  return way != Way::socket && sys::call(SYS_poll, sys::arg(&p), 1, 0) == 1 && p.revents == POLLERR;
}

// A first result that isn't -EAGAIN, or the result of the call.
long begin(FileInUse& file, Transfer& t, Way& way) {
  if (way == Way::socket && t.reads()) {
    auto try_now = [&] {
      t.fd = file.fd();
      return try_once(t, way);
    };
    long result = receive(file, !t.is_vector, try_now, [&] { return size_of(t); });
    return result == -EPERM ? call_plainly(t) : result;
  }
  long result = try_once(t, way);
  if (result != -EAGAIN || way == Way::plain) {
    return result;
  }
  Wait wait(file, t.events(), limit_of(t, way));
  do {
    long end = wait.again();
    if (end == -EPERM) {
      return call_plainly(t);
    }
    if (end != 0) {
      return end;
    }
    t.fd = file.fd();
    result = try_once(t, way);
    if (result == -EAGAIN && is_silent(t, way)) {
      return call_offloaded(t);
    }
  } while (result == -EAGAIN);
  return result;
}

// A blocking write to a pipe ends when all is written; `written` is what was so far.
long finish_write(FileInUse& file, const Transfer& t, Way way, IovCursor& rest, long written) {
  rest.advance(static_cast<size_t>(written));
  Wait wait(file, POLLOUT, Limit::none);
  while (!rest.done()) {
    iovec* window = rest.window();
    Transfer next = {t.direction, file.fd(), window, static_cast<long>(rest.window_size()),
                     true,        t.flags};
    if (way == Way::fifo) {
      next.count = 1;
      next.is_vector = false;
    }
    long result = try_once(next, way);
    if (result == -EAGAIN) {
      if (wait.again() != 0) {
        break;
      }
      continue;
    }
    if (result <= 0) {
      break;
    }
    written += result;
    rest.advance(static_cast<size_t>(result));
  }
  return written;
}

long transfer(Transfer t) {
  Way way = descriptor_hints.get(t.fd, t.direction);
  if (t.is_vector && (t.count <= 0 || t.count > IOV_MAX)) {
    return call_plainly(t);
  }
  FileInUse file(t.fd);
  long result = begin(file, t, way);
  if (t.reads() || result <= 0) {
    return result;
  }
  // Others than these were written to by the plain call, which ends as it does natively.
  IovCursor rest(t.iov, static_cast<size_t>(t.count));
  switch (way) {
    case Way::socket:
      return finish_send(file, rest, result, 0);
    case Way::nowait:
    case Way::fifo:
      return finish_write(file, t, way, rest, result);
    default:
      return result;
  }
}

long transfer_buffer(Direction direction, const long* a) {
  iovec buffer = {reinterpret_cast<void*>(a[1]), static_cast<size_t>(a[2])};
  // Beyond, sendto() and write() differ.
  if (buffer.iov_len > kMostAtOnce) {
    buffer.iov_len = kMostAtOnce;
  }
  Transfer t = {direction, static_cast<int>(a[0]), &buffer, 1, false, 0};
  // Reading nothing never blocks and takes no datagram off a socket's queue.
  return t.reads() && a[2] == 0 ? call_plainly(t) : transfer(t);
}

long transfer_vector(Direction direction, const long* a, long flags) {
  return transfer(
      {direction, static_cast<int>(a[0]), reinterpret_cast<const iovec*>(a[1]), a[2], true, flags});
}

// pread64 and preadv; `call` is what the program asked for.
template <class Call>
long transfer_at(const Transfer& t, long offset, Call call) {
  Way way = descriptor_hints.get(t.fd, t.direction);
  if (way == Way::unknown) {
    way = learn_way(t.fd, t.direction);
  }
  if (way != Way::file && way != Way::cold_file) {
    return call();  // what can't seek, most of all
  }
  return read_file_at(t, offset, way);
}

// Into one buffer, of the sizes for which recvfrom() is read().
bool is_ordinary(long size) { return size > 0 && size <= kMostAtOnce; }

long read_socket(const long* a) {
  FileInUse file(static_cast<int>(a[0]));
  auto try_now = [&] { return sys::call(SYS_recvfrom, file.fd(), a[1], a[2], MSG_DONTWAIT); };
  return receive(file, true, try_now, [a] { return static_cast<size_t>(a[2]); });
}

// preadv2 and pwritev2: only at the "current position" (-1) do they take what can't seek.
long transfer_at(Direction direction, long number, const long* a) {
  if (a[3] != -1 || (a[5] & RWF_NOWAIT) != 0) {
    return sys::call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
  return transfer_vector(direction, a, a[5]);
}

}  // namespace

// What most reads are, without the detours of all others.
[[gnu::hot]] long read(const long* a) {
  int fd = static_cast<int>(a[0]);
  if (is_ordinary(a[2])) [[likely]] {
    Way way = descriptor_hints.get(fd, Direction::read);
    if (way == Way::socket) {
      long result = read_socket(a);
      if (result != -ENOTSOCK && result != -EPERM) [[likely]] {
        return result;
      }
    } else if (way == Way::file) {
      return read_warm_file(fd, [a] { return sys::call(SYS_read, a[0], a[1], a[2]); });
    }
  }
  return transfer_buffer(Direction::read, a);
}

[[gnu::hot]] long write(const long* a) { return transfer_buffer(Direction::write, a); }

long readv(const long* a) { return transfer_vector(Direction::read, a, 0); }

long writev(const long* a) { return transfer_vector(Direction::write, a, 0); }

[[gnu::hot]] long pread64(const long* a) {
  auto call = [a] { return sys::call(SYS_pread64, a[0], a[1], a[2], a[3]); };
  int fd = static_cast<int>(a[0]);
  if (descriptor_hints.get(fd, Direction::read) == Way::file) [[likely]] {
    return read_warm_file(fd, call);
  }
  if (!is_ordinary(a[2]) || a[3] < 0) {
    return call();
  }
  iovec buffer = {reinterpret_cast<void*>(a[1]), static_cast<size_t>(a[2])};
  return transfer_at({Direction::read, fd, &buffer, 1, false, 0}, a[3], call);
}

long preadv(const long* a) {
  auto call = [a] { return sys::call(SYS_preadv, a[0], a[1], a[2], a[3], a[4]); };
  if (a[2] <= 0 || a[2] > IOV_MAX || a[3] < 0) {
    return call();
  }
  const auto* list = reinterpret_cast<const iovec*>(a[1]);
  return transfer_at({Direction::read, static_cast<int>(a[0]), list, a[2], true, 0}, a[3], call);
}

long preadv2(const long* a) {
  return a[5] == 0 && a[3] >= 0 ? preadv(a) : transfer_at(Direction::read, SYS_preadv2, a);
}

long pwritev2(const long* a) { return transfer_at(Direction::write, SYS_pwritev2, a); }

}  // namespace ramie::ops

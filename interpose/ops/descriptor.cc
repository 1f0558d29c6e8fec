// close, dup2, dup3, close_range; and what protects our own descriptors from them.
#include "interpose/ops/descriptor.h"

#include <fcntl.h>
#include <linux/close_range.h>

#include "base/sys.h"
#include "event/reactor.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/ops/descriptor_hints.h"
#include "interpose/ops/ops.h"

namespace ramie::ops {

namespace {

void forget_number(int fd) {
  descriptor_hints.clear(fd);
  blocking_sockets::forget(fd);
}

// As forget(), but calls in progress keep the file.
void let_go(int fd) {
  event::forget_but_keep(fd);
  forget_number(fd);
}

}  // namespace

void forget(int fd) {
  event::forget(fd);
  forget_number(fd);
}

void begin_socket(int fd, const blocking_sockets::Birth& birth, bool blocks) {
  forget(fd);
  descriptor_hints.set(fd, Direction::read, Way::socket);
  descriptor_hints.set(fd, Direction::write, Way::socket);
  if (blocks) {
    birth.note(fd);
  }
}

namespace {

// The first of our own descriptors in first..last, or -1.
int next_of_ours(unsigned first, unsigned last) {
  constexpr unsigned kMostDescriptors = 1U << 20;  // the kernel's default for fs.nr_open
  for (unsigned fd = first; fd <= last && fd < kMostDescriptors; ++fd) {
    if (event::is_ours(static_cast<int>(fd))) {
      return static_cast<int>(fd);
    }
  }
  return -1;
}

// Leaves ours open.
long close_between_ours(unsigned first, unsigned last, long flags) {
  for (;;) {
    int own = next_of_ours(first, last);
    if (own < 0) {
      return sys::call(SYS_close_range, first, last, flags);
    }
    auto kept = static_cast<unsigned>(own);
    long result = kept > first ? sys::call(SYS_close_range, first, kept - 1, flags) : 0;
    if (sys::failed(result) || kept == last) {
      return result;
    }
    first = kept + 1;
  }
}

// `to` becomes another name of `from`.
long replace(long number, int from, int to, long flags) {
  if (event::is_ours(from) || event::is_ours(to)) {
    return -EBADF;
  }
  // A call that fails leaves `to` as it is, and whoever waits for it.
  if (from == to || sys::failed(sys::call(SYS_fcntl, from, F_GETFD))) {
    return sys::call(number, from, to, flags);
  }
  let_go(to);
  long result = sys::call(number, from, to, flags);
  event::forget_again(to);
  return result;
}

}  // namespace

long close(const long* a) {
  int fd = static_cast<int>(a[0]);
  if (event::is_ours(fd)) {
    return -EBADF;
  }
  let_go(fd);
  long result = sys::call(SYS_close, fd);
  event::forget_again(fd);
  return result;
}

long dup2(const long* a) {
  return replace(SYS_dup2, static_cast<int>(a[0]), static_cast<int>(a[1]), 0);
}

long dup3(const long* a) {
  return replace(SYS_dup3, static_cast<int>(a[0]), static_cast<int>(a[1]), a[2]);
}

// Setting close-on-exec on ours changes nothing.
long close_range(const long* a) {
  auto first = static_cast<unsigned>(a[0]);
  auto last = static_cast<unsigned>(a[1]);
  if (first > last || (a[2] & CLOSE_RANGE_CLOEXEC) != 0) {
    return sys::call(SYS_close_range, first, last, a[2]);
  }
  event::forget_range(first, last);
  descriptor_hints.clear_range(first, last);
  blocking_sockets::forget_range(first, last);
  long result = close_between_ours(first, last, a[2]);
  event::forget_range_again(first, last);
  return result;
}

}  // namespace ramie::ops

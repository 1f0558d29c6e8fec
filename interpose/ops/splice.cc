// sendfile, splice, tee, vmsplice.
//
// They know no way to be tried on a description that blocks: SPLICE_F_NONBLOCK speaks of pipes
// only. So the fiber parks until both ends are ready, which is nearly all of the wait, and a helper
// thread makes the call, for what it may still have to wait for.
#include <fcntl.h>
#include <poll.h>

#include "base/sys.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

// 0: ready, or never will be for poll, which the call itself then finds.
long await(FileInUse& file, short events) {
  Wait wait(file, events, Limit::none);
  while (!is_ready(file.fd(), events)) {
    long end = wait.again();
    if (end == -EPERM || end == -EAGAIN) {
      return 0;
    }
    if (end != 0) {
      return end;
    }
  }
  return 0;
}

constexpr int kNone = -1;

// Moves data from one descriptor to the other; `in` and `out` say which arguments they are, and may
// be kNone.
long move(long number, const long* a, int in, int out) {
  long arguments[6] = {a[0], a[1], a[2], a[3], a[4], a[5]};
  FileInUse source(in != kNone ? static_cast<int>(a[in]) : -1);
  FileInUse target(out != kNone ? static_cast<int>(a[out]) : -1);
  if (in != kNone) {
    if (long end = await(source, POLLIN); end != 0) {
      return end;
    }
  }
  if (out != kNone) {
    if (long end = await(target, POLLOUT); end != 0) {
      return end;
    }
    arguments[out] = target.fd();
  }
  if (in != kNone) {
    arguments[in] = source.fd();
  }
  return offload_and_restart(number, arguments);
}

}  // namespace

long sendfile(const long* a) {
  int out = static_cast<int>(a[0]);
  if (is_non_blocking(out)) {
    return sys::call(SYS_sendfile, a[0], a[1], a[2], a[3]);
  }
  return move(SYS_sendfile, a, 1, 0);
}

long splice(const long* a) { return move(SYS_splice, a, 0, 2); }

long tee(const long* a) {
  if ((a[3] & SPLICE_F_NONBLOCK) != 0) {
    return sys::call(SYS_tee, a[0], a[1], a[2], a[3]);
  }
  return move(SYS_tee, a, 0, 1);
}

// The descriptor is a pipe's end: which one says whether memory is taken or filled.
long vmsplice(const long* a) {
  int fd = static_cast<int>(a[0]);
  if ((a[3] & SPLICE_F_NONBLOCK) != 0) {
    return sys::call(SYS_vmsplice, a[0], a[1], a[2], a[3]);
  }
  long flags = sys::call(SYS_fcntl, fd, F_GETFL);
  bool writes = !sys::failed(flags) && (flags & O_ACCMODE) != O_RDONLY;
  return move(SYS_vmsplice, a, writes ? kNone : 0, writes ? 0 : kNone);
}

}  // namespace ramie::ops

// epoll_wait and its forms: the program's epoll descriptor is itself waited for, as any other.
#include <poll.h>

#include "base/sys.h"
#include "interpose/ops/file_in_use.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/polling.h"
#include "interpose/ops/signal_mask.h"
#include "interpose/ops/timeout.h"

namespace ramie::ops {
namespace {

// The first three arguments of all forms are the same.  Each look is made with the caller's mask:
// what was pending before the call is taken in the first.
long wait_on_epoll(const long* a, base::Deadline deadline, long mask_address, long mask_size) {
  FileInUse file(static_cast<int>(a[0]));
  SignalMask mask(mask_address, mask_size);
  auto look = [&] {
    return sys::call(SYS_epoll_pwait, file.fd(), a[1], a[2], 0, mask_address, mask_size);
  };
  auto wait = [&](base::Deadline until) {
    return mask.interrupted() ? -long{EINTR} : file.wait(POLLIN, until);
  };
  return mask.end_by_handlers([&] { return look_until(deadline, look, wait); });
}

}  // namespace

long epoll_wait(const long* a) {
  return wait_on_epoll(a, deadline_after_ms(static_cast<int>(a[3])), 0, 0);
}

long epoll_pwait(const long* a) {
  return wait_on_epoll(a, deadline_after_ms(static_cast<int>(a[3])), a[4], a[5]);
}

long epoll_pwait2(const long* a) {
  // Unlike ppoll's, this time-out is not written back.
  Timeout timeout(a[3]);
  return timeout.error() != 0 ? timeout.error() : wait_on_epoll(a, timeout.deadline(), a[4], a[5]);
}

}  // namespace ramie::ops

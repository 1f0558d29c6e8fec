// poll, ppoll.
#include <poll.h>

#include "base/sys.h"
#include "event/reactor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/polling.h"
#include "interpose/ops/signal_mask.h"
#include "interpose/ops/timeout.h"

namespace ramie::ops {

long poll(const long* a) {
  long timeout = static_cast<int>(a[2]);
  auto count = static_cast<unsigned>(a[1]);
  if (timeout == 0) {
    return sys::call(SYS_poll, a[0], count, 0);
  }
  base::Deadline deadline = deadline_after_ms(timeout);
  if (count == 0) {
    return sleep_only(deadline);
  }
  return look_until(
      deadline, [&] { return sys::call(SYS_poll, a[0], count, 0); },
      [&](base::Deadline until) {
        return event::wait_fds(reinterpret_cast<const pollfd*>(a[0]), count, until);
      });
}

// Each look is made with the caller's mask: what was pending before the call is taken in the first.
long ppoll(const long* a) {
  auto count = static_cast<unsigned>(a[1]);
  Timeout timeout(a[2]);
  if (timeout.error() != 0) {
    return timeout.error();
  }
  SignalMask mask(a[3], a[4]);
  auto look = [&] {
    timespec zero = {};
    return sys::call(SYS_ppoll, a[0], count, sys::arg(&zero), a[3], a[4]);
  };
  auto wait = [&](base::Deadline until) {
    if (mask.interrupted()) {
      return -long{EINTR};
    }
    return count == 0 ? sleep_only(until)
                      : event::wait_fds(reinterpret_cast<const pollfd*>(a[0]), count, until);
  };
  long result = mask.finish(look_until(timeout.deadline(), look, wait));
  timeout.store_rest();
  return result;
}

}  // namespace ramie::ops

// poll, ppoll.
#include <poll.h>

#include "base/sys.h"
#include "event/input.h"
#include "event/reactor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/polling.h"
#include "interpose/ops/signal_mask.h"
#include "interpose/ops/timeout.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {

namespace {

// The first look of a poll of one descriptor is left out where there is known to be no input: a
// program that reads all there is and then polls does so each time.  Returns 0 to look, or -errno.
long wait_for_input(const long* a, unsigned count, base::Deadline deadline) {
  pollfd one;
  constexpr int kInput = POLLIN | POLLRDNORM;
  constexpr int kAlsoSeen = POLLPRI | POLLRDHUP;
  if (count != 1 || !copy_in(one, a[0]) || (one.events & kInput) == 0 ||
      (one.events & ~(kInput | kAlsoSeen)) != 0 || !event::InputGlance(one.fd).is_empty()) {
    return 0;
  }
  core::Interruptible section;
  long result = event::wait_fd(one.fd, one.events, deadline);
  return result == -EINTR || result == -ECANCELED ? result : 0;
}

}  // namespace

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
  if (long end = wait_for_input(a, count, deadline); end != 0) {
    return end;
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
  if (a[3] == 0) {
    if (long end = wait_for_input(a, count, timeout.deadline()); end != 0) {
      timeout.store_rest();
      return end;
    }
  }
  SignalMask mask(a[3], a[4]);
  auto look = [&] {
    timespec zero = {};
    long found = sys::call(SYS_ppoll, a[0], count, sys::arg(&zero), a[3], a[4]);
    return found == 0 && mask.interrupted() ? -long{EINTR} : found;
  };
  auto wait = [&](base::Deadline until) {
    return count == 0 ? sleep_only(until)
                      : event::wait_fds(reinterpret_cast<const pollfd*>(a[0]), count, until);
  };
  long result = mask.end_by_handlers([&] { return look_until(timeout.deadline(), look, wait); });
  timeout.store_rest();
  return result;
}

}  // namespace ramie::ops

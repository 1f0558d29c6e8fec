// The loop of poll, select and epoll_wait: look without blocking, park until something may have
// changed, look again.
#pragma once

#include <cerrno>

#include "base/deadline.h"
#include "core/interruptible.h"
#include "core/park.h"

namespace ramie::ops {

// A time-out in milliseconds, negative for none, as a deadline.
inline base::Deadline deadline_after_ms(long milliseconds) {
  return milliseconds < 0 ? base::Deadline::never()
                          : base::Deadline::after(base::now(), milliseconds * 1'000'000);
}

// Of a sleep.
inline long error_of(core::Wake wake) {
  switch (wake) {
    case core::Wake::interrupted:
      return -EINTR;
    case core::Wake::cancelled:
      return -ECANCELED;
    default:
      return 0;
  }
}

// look(): the real call with a time-out of zero; 0 if nothing is ready.  wait(deadline): 0 to look
// again, or -errno.  None of these calls is ever restarted after a signal handler (man 7 signal).
template <class Look, class WaitFor>
long look_until(base::Deadline deadline, Look look, WaitFor wait) {
  // Something may count as ready for wait() and not for look(), for ever: for instance a regular
  // file of which only errors were asked for.  Something else may be impossible to wait for: an
  // epoll descriptor that watches others that watch others, and so on.  Both are looked at now and
  // then.
  constexpr int kManyLooks = 16;
  constexpr int64_t kPause = 1'000'000;
  for (int looks = 1;; ++looks) {
    long found = look();
    if (found != 0 || deadline.passed(base::now())) {
      return found;
    }
    core::Interruptible section;
    long result = looks % kManyLooks == 0 ? -EBUSY : wait(deadline);
    if (result == 0 || result == -ETIMEDOUT || result == -EBADF) {
      continue;
    }
    if (result != -EINTR && result != -ECANCELED) {
      base::Deadline pause_end = base::Deadline::after(base::now(), kPause);
      core::Wake wake = core::sleep_until(deadline < pause_end ? deadline : pause_end);
      result = error_of(wake);
    }
    if (result != 0) {
      return result;
    }
  }
}

// With nothing to look at: a sleep.  Returns 0 or -EINTR.
inline long sleep_only(base::Deadline deadline) {
  core::Interruptible section;
  return error_of(core::sleep_until(deadline));
}

}  // namespace ramie::ops

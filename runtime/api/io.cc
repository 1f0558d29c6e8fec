#include <poll.h>
#include <ramie/detail/abi.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>

#include "api/interruptible.h"
#include "base/deadline.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "event/input.h"
#include "event/reactor.h"
#include "event/ring_calls.h"

namespace ramie::detail {
namespace {

short poll_events(short what) {
  return static_cast<short>(((what & io_readable) != 0 ? POLLIN : 0) |
                            ((what & io_writable) != 0 ? POLLOUT : 0));
}

// Which of `what` a read or write would not block on, errors and hang-ups included.
int happened(short what, short revents) {
  int ready = 0;
  if ((revents & (POLLIN | POLLHUP | POLLERR)) != 0) {
    ready |= io_readable;
  }
  if ((revents & (POLLOUT | POLLHUP | POLLERR)) != 0) {
    ready |= io_writable;
  }
  return ready & what;
}

// One look, or, on a kernel thread without fibers, the whole wait.
long poll_until(pollfd& one, base::Deadline deadline) {
  if (deadline.is_never()) {
    return sys::call(SYS_ppoll, sys::arg(&one), 1, 0, 0, 8);
  }
  timespec rest = base::to_timespec(std::max<int64_t>(deadline.nanos - base::now(), 0));
  return sys::call(SYS_ppoll, sys::arg(&one), 1, sys::arg(&rest), 0, 8);
}

// Until another attempt is worth while (0), or -errno.
long await(int fd, short events, bool on_fiber, event::FileUse* use = nullptr) {
  long result = 0;
  if (on_fiber) {
    Interruptible section;
    result = event::wait_fd(fd, events, base::Deadline::never(), use);
  } else {
    pollfd one{fd, events, 0};
    result = std::min<long>(poll_until(one, base::Deadline::never()), 0);
  }
  switch (result) {
    case -ETIMEDOUT:
      return -ECANCELED;  // of a scope
    case -EINTR:
      return 0;
    default:
      return result;
  }
}

// Until the attempt is none of -EAGAIN, which stands for "not now", and -EINTR.
template <class Try>
std::ptrdiff_t try_and_wait(int fd, short events, Try attempt) {
  bool on_fiber = core::current() != nullptr;
  event::FileUse use{.keeps = false};
  for (;;) {
    std::ptrdiff_t done = attempt(on_fiber);
    if (done != -EAGAIN && done != -EINTR) {
      return done;
    }
    if (long result = await(fd, events, on_fiber, &use); result != 0) {
      return result;
    }
  }
}

// By the carrier's ring; -EAGAIN where there is none for the descriptor.
template <class Call>
std::ptrdiff_t by_ring(Call call) {
  if (!event::is_ring_there()) {
    return -EAGAIN;
  }
  for (;;) {
    Interruptible section;
    long result = call();
    if (result != -EINTR) {
      return result;
    }
  }
}

}  // namespace

int wait_descriptor(int fd, short what, std::int64_t deadline_nanos) noexcept {
  base::Deadline deadline = base::Deadline::at(deadline_nanos);
  bool on_fiber = core::current() != nullptr;
  Interruptible section;
  pollfd one{fd, poll_events(what), 0};
  for (;;) {
    // The reactor tells of changes; the state is asked for here, before and after.
    long ready = poll_until(one, on_fiber ? base::Deadline::at(0) : deadline);
    if (ready > 0) {
      return (one.revents & POLLNVAL) != 0 ? -EBADF : happened(what, one.revents);
    }
    if (ready < 0 && ready != -EINTR) {
      return static_cast<int>(ready);
    }
    if (on_fiber) {
      long result = event::wait_fd(fd, one.events, deadline);
      if (result == -ETIMEDOUT || result == -ECANCELED) {
        return 0;
      }
      if (result != 0 && result != -EINTR) {
        return static_cast<int>(result);
      }
    } else if (ready == 0) {
      return 0;
    }
  }
}

int await_descriptor(int fd, short what) noexcept {
  return static_cast<int>(await(fd, poll_events(what), core::current() != nullptr));
}

std::ptrdiff_t receive(int fd, void* into, std::size_t size) noexcept {
  std::ptrdiff_t received = by_ring([&] { return event::ring_receive(fd, into, size); });
  if (received != -EAGAIN) {
    return received;
  }
  return try_and_wait(fd, POLLIN, [&](bool on_fiber) -> std::ptrdiff_t {
    event::InputGlance input(fd);
    if (on_fiber && size != 0 && input.is_empty()) {
      return -EAGAIN;
    }
    long got = sys::call(SYS_recvfrom, fd, sys::arg(into), static_cast<long>(size), MSG_DONTWAIT);
    if (got > 0 && static_cast<std::size_t>(got) < size) {
      input.got_less();
    } else if (got == -EAGAIN) {
      input.got_nothing();
    }
    return got;
  });
}

std::ptrdiff_t transmit(int fd, const void* from, std::size_t size) noexcept {
  std::ptrdiff_t sent = by_ring([&] { return event::ring_send(fd, from, size); });
  if (sent != -EAGAIN) {
    return sent;
  }
  return try_and_wait(fd, POLLOUT, [&](bool) -> std::ptrdiff_t {
    return sys::call(SYS_sendto, fd, sys::arg(from), static_cast<long>(size),
                     MSG_DONTWAIT | MSG_NOSIGNAL);
  });
}

void forget_descriptor(int fd) noexcept { event::forget(fd); }

}  // namespace ramie::detail

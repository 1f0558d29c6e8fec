// Rings of the program: io_uring_setup, io_uring_enter, io_uring_register.
//
// A wait for completions parks on the ring's descriptor, and looks by an enter whose time-out is
// zero.  That asks two things of a ring.  It must be any kernel thread's to use, since a fiber
// moves: what binds one to the thread that made it is taken out of the wish.  And its descriptor
// must tell of completions, which it doesn't where they are kept until the submitter enters
// (IORING_SETUP_DEFER_TASKRUN, measured on 6.18).  So only rings whose making was seen are parked
// on; the waits of others are the kernel's.  So are waits for more than one completion: where there
// is one, the kernel doesn't say whether the time-out or the number has ended the look.
#include <linux/io_uring.h>
#include <linux/time_types.h>
#include <poll.h>

#include "base/sys.h"
#include "core/carrier.h"
#include "event/reactor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/polling.h"
#include "interpose/ops/signal_mask.h"
#include "interpose/ops/timeout.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {
namespace {

// Newer than the oldest header that we compile with.
constexpr unsigned kSetupRegisteredFdOnly = 1U << 15;
constexpr unsigned kRegisterByIndex = 1U << 31;

// A bit for each descriptor that is a ring of which the making was seen.  One that was closed since
// may keep its bit: whatever has the number now refuses to be entered, unless it is a ring that was
// made here.
class Rings {
 public:
  void add(long fd) {
    if (is_tabled(fd)) {
      __atomic_fetch_or(&words_[fd / kBits], bit(fd), __ATOMIC_RELAXED);
    }
  }
  [[nodiscard]] bool contains(long fd) const {
    return is_tabled(fd) && (__atomic_load_n(&words_[fd / kBits], __ATOMIC_RELAXED) & bit(fd)) != 0;
  }

 private:
  static constexpr long kBits = 64;
  static constexpr long kDescriptors = 1L << 16;
  static bool is_tabled(long fd) { return fd >= 0 && fd < kDescriptors; }
  static uint64_t bit(long fd) { return uint64_t{1} << (fd % kBits); }

  uint64_t words_[kDescriptors / kBits] = {};
};

constinit Rings rings;

// The same ring for any thread.  Without these flags completions come sooner and by themselves,
// which a program that asks for them has to expect of older kernels.
unsigned for_any_thread(unsigned flags) {
  constexpr unsigned kLate = IORING_SETUP_COOP_TASKRUN | IORING_SETUP_DEFER_TASKRUN;
  bool is_valid =
      (flags & IORING_SETUP_SQPOLL) == 0 &&
      ((flags & IORING_SETUP_DEFER_TASKRUN) == 0 || (flags & IORING_SETUP_SINGLE_ISSUER) != 0);
  if (is_valid && (flags & kLate) != 0) {
    flags &= ~(kLate | IORING_SETUP_TASKRUN_FLAG);
  }
  return (flags & kLate) != 0 ? flags : flags & ~IORING_SETUP_SINGLE_ISSUER;
}

// What ends a wait for completions besides them: by man 2 io_uring_enter a mask, or a struct of the
// program's with a mask and a time-out in it.
struct Limits {
  long mask = 0;
  long mask_size = 0;
  long time = 0;
  long error = 0;
};

Limits limits_of(const long* a) {
  if ((a[3] & IORING_ENTER_EXT_ARG) == 0) {
    return {.mask = a[4], .mask_size = a[4] != 0 ? a[5] : 0};
  }
  io_uring_getevents_arg given;
  if (static_cast<size_t>(a[5]) != sizeof given) {
    return {.error = -EINVAL};
  }
  if (!copy_in(given, a[4])) {
    return {.error = -EFAULT};
  }
  // The word that was padding is a limit of another kind by now.
  return {.mask = static_cast<long>(given.sigmask),
          .mask_size = given.sigmask_sz,
          .time = static_cast<long>(given.ts),
          .error = given.pad != 0 ? sys::kPassOn : 0};
}

// 1 if there is a completion, 0 if not yet.  A signal is noticed by the wait that
// follows.
long look_for_completion(long fd, const Limits& limits) {
  __kernel_timespec zero = {};
  io_uring_getevents_arg now = {.sigmask = static_cast<uint64_t>(limits.mask),
                                .sigmask_sz = static_cast<uint32_t>(limits.mask_size),
                                .pad = 0,
                                .ts = reinterpret_cast<uint64_t>(&zero)};
  long result =
      sys::call(SYS_io_uring_enter, fd, 0, 1, IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG,
                sys::arg(&now), sizeof now);
  if (result == -ETIME || result == -EINTR) {
    return 0;
  }
  return result == 0 ? 1 : result;
}

long wait_for_completion(long fd, const Limits& limits) {
  Timeout timeout(limits.time);
  if (timeout.error() != 0) {
    return timeout.error();
  }
  SignalMask mask(limits.mask, limits.mask_size);
  auto wait = [&](base::Deadline until) {
    return mask.interrupted() ? -long{EINTR} : event::wait_fd(static_cast<int>(fd), POLLIN, until);
  };
  auto look = [&] { return look_for_completion(fd, limits); };
  long result = mask.end_by_handlers([&] { return look_until(timeout.deadline(), look, wait); });
  return result == 0 ? -ETIME : result > 0 ? 0 : result;
}

}  // namespace

long io_uring_setup(const long* a) {
  io_uring_params wish;
  if (!copy_in(wish, a[1])) {
    return sys::call(SYS_io_uring_setup, a[0], a[1]);
  }
  if ((wish.flags & kSetupRegisteredFdOnly) != 0) {
    return -EINVAL;  // as before Linux 6.5: its index would be the kernel thread's
  }
  unsigned asked = wish.flags;
  wish.flags = for_any_thread(asked);
  long fd = sys::call(SYS_io_uring_setup, a[0], sys::arg(&wish));
  if (!sys::failed(fd)) {
    wish.flags = asked;
    copy_out(a[1], wish);
    rings.add(fd);
  }
  return fd;
}

long io_uring_enter(const long* a) {
  constexpr long kFlags = IORING_ENTER_GETEVENTS | IORING_ENTER_SQ_WAKEUP | IORING_ENTER_EXT_ARG;
  long fd = static_cast<int>(a[0]);
  auto to_submit = static_cast<unsigned>(a[1]);
  if (to_submit != 0) {
    core::current()->carrier->has_submitted = true;
  }
  auto flags = static_cast<unsigned>(a[3]);
  if (static_cast<unsigned>(a[2]) != 1 || (flags & IORING_ENTER_GETEVENTS) == 0 ||
      (flags & ~kFlags) != 0 || !rings.contains(fd)) {
    return sys::kPassOn;
  }
  Limits limits = limits_of(a);
  if (limits.error == sys::kPassOn) {
    return sys::kPassOn;
  }
  long submitted = 0;
  if (to_submit != 0 || (flags & IORING_ENTER_SQ_WAKEUP) != 0) {
    submitted =
        sys::call(SYS_io_uring_enter, fd, to_submit, 0, flags & IORING_ENTER_SQ_WAKEUP, 0, 0);
    if (submitted != static_cast<long>(to_submit)) {
      return submitted;
    }
  }
  // As in the kernel, what was submitted is told, and not how the wait has ended.
  long waited = limits.error != 0 ? limits.error : wait_for_completion(fd, limits);
  return submitted != 0 ? submitted : waited;
}

long io_uring_register(const long* a) {
  auto operation = static_cast<unsigned>(a[1]) & ~kRegisterByIndex;
  // An index for the ring is good on one kernel thread only: as before Linux 5.18, there is none.
  return operation == IORING_REGISTER_RING_FDS ? -EINVAL : sys::kPassOn;
}

}  // namespace ramie::ops

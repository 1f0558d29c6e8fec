// futex_waitv, of Linux 5.16, and futex_wait, futex_wake and futex_requeue, of Linux 6.7
// (kernel/futex/syscalls.c).  Each of the three is an operation of futex(2) with its arguments in
// another order, and a word that may be of another size some day.
#include <linux/futex.h>
#include <time.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>
#include <new>

#include "base/deadline.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "interpose/host/futex.h"
#include "interpose/host/futex_call.h"
#include "interpose/ops/user_memory.h"
#include "sync/parking_lot.h"

namespace ramie::host {
namespace {

using Listed = struct ::futex_waitv;

constexpr unsigned kSize =
    3;  // FUTEX2_SIZE_MASK, of which 2 says 32 bits: no kernel has others yet

// 0, or the kernel's answer to them.
long check_flags(unsigned flags) { return (flags & kSize) == FUTEX_32 ? 0 : -EINVAL; }

// Words that belong to a NUMA node, and whatever comes after that: the kernel's alone.
bool is_for_kernel(unsigned flags) { return (flags & ~(kSize | FUTEX_PRIVATE_FLAG)) != 0; }

long to_kernel(long number, const long* a) {
  wake_in_kernel_too();
  return sys::call(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}

bool is_wide(uint64_t value) { return value >> 32 != 0; }

long operation_of(long operation, unsigned flags) {
  return operation | static_cast<long>(flags & FUTEX_PRIVATE_FLAG);
}

// Waits for the words of a list, all of them private.  The index of one that was woken, or -errno.
class ListWait {
 public:
  ListWait(const Listed* list, size_t count) : list_(list), count_(count), watches_(count) {}

  long wait(base::Deadline deadline) {
    if (!watches_) {
      return -ENOMEM;
    }
    size_t watched = 0;
    while (watched < count_ && begin(watched)) {
      ++watched;
    }
    long result = -EAGAIN;
    if (watched == count_) {
      bool is_late = sync::wait_fired_once(set_, deadline) == sync::Outcome::timed_out;
      result = is_late ? -ETIMEDOUT : sys::kRestart;
    }
    // As the kernel: the last one of those that were woken, whatever else has happened.
    for (size_t i = 0; i < watched; ++i) {
      if (!sync::unwatch(watches_[i])) {
        result = static_cast<long>(i);
      }
    }
    return result;
  }

 private:
  // False: the word has another value by now.
  bool begin(size_t i) {
    auto* word = reinterpret_cast<uint32_t*>(list_[i].uaddr);
    return sync::watch(*new (&watches_[i]) sync::Watch, set_, word,
                       [&] { return load(word) == static_cast<uint32_t>(list_[i].val); });
  }

  const Listed* list_;
  size_t count_;
  ops::Scratch<sync::Watch, 4> watches_;
  sync::WatchSet set_;
};

// 0, or an error; sys::kPassOn unless all are private.
long check_list(const Listed* list, size_t count) {
  bool is_private = true;
  for (size_t i = 0; i < count; ++i) {
    const Listed& one = list[i];
    if (is_for_kernel(one.flags)) {
      return sys::kPassOn;
    }
    if (check_flags(one.flags) != 0 || one.__reserved != 0 || is_wide(one.val)) {
      return -EINVAL;
    }
    is_private = is_private && (one.flags & FUTEX_PRIVATE_FLAG) != 0;
  }
  for (size_t i = 0; i < count; ++i) {
    if (long error = check(reinterpret_cast<const uint32_t*>(list[i].uaddr)); error != 0) {
      return error;
    }
  }
  return is_private ? 0 : sys::kPassOn;
}

}  // namespace

// waiters, nr_futexes, flags, timeout, clockid
long futex_waitv(const long* a) {
  auto count = static_cast<unsigned>(a[1]);
  auto clock = static_cast<clockid_t>(a[4]);
  if (static_cast<unsigned>(a[2]) != 0 || count == 0 || count > FUTEX_WAITV_MAX || a[0] == 0) {
    return -EINVAL;
  }
  base::Deadline deadline;
  if (a[3] != 0) {
    timespec time;
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME) {
      return -EINVAL;
    }
    if (!ops::copy_in(time, a[3])) {
      return -EFAULT;
    }
    if (!base::is_valid(time)) {
      return -EINVAL;
    }
    int64_t nanos = base::to_nanos(time);
    // The wall clock is looked at once, as for futex(2).
    deadline = clock == CLOCK_MONOTONIC
                   ? base::Deadline::at(nanos)
                   : base::Deadline::after(base::now(), nanos - now_of(CLOCK_REALTIME));
  }
  if (!ops::looks_mapped(a[0])) {
    return -EFAULT;
  }
  const auto* list = reinterpret_cast<const Listed*>(a[0]);
  if (long error = check_list(list, count); error != 0) {
    return error;
  }
  return ListWait(list, count).wait(deadline);
}

// uaddr, val, mask, flags, timeout, clockid
long futex_wait(const long* a) {
  auto flags = static_cast<unsigned>(a[3]);
  if (is_for_kernel(flags)) {
    wake_in_kernel_too();
    return sys::kPassOn;
  }
  if (long error = check_flags(flags); error != 0) {
    return error;
  }
  auto clock = static_cast<clockid_t>(a[5]);
  bool has_time = a[4] != 0;
  if (is_wide(static_cast<uint64_t>(a[1])) || is_wide(static_cast<uint64_t>(a[2])) ||
      (has_time && clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)) {
    return -EINVAL;
  }
  if (has_time && !ops::looks_mapped(a[4])) {
    return -EFAULT;
  }
  long operation = operation_of(FUTEX_WAIT_BITSET, flags);
  if (has_time && clock == CLOCK_REALTIME) {
    operation |= FUTEX_CLOCK_REALTIME;
  }
  const long old[6] = {a[0], operation, a[1], a[4], 0, a[2]};
  long result = futex(old);
  // Unlike futex(2)'s it goes on after a handler with SA_RESTART: its time is a point in time.
  return result == -EINTR && core::current() != nullptr ? sys::kRestart : result;
}

// uaddr, mask, nr, flags
long futex_wake(const long* a) {
  auto flags = static_cast<unsigned>(a[3]);
  if (is_for_kernel(flags)) {
    return to_kernel(SYS_futex_wake, a);
  }
  if (long error = check_flags(flags); error != 0) {
    return error;
  }
  if (is_wide(static_cast<uint64_t>(a[1])) || a[1] == 0 || a[0] % sizeof(uint32_t) != 0) {
    return -EINVAL;
  }
  auto count = static_cast<int>(a[2]);
  if (count == 0) {
    return 0;  // where futex(2) wakes one
  }
  const long old[6] = {a[0], operation_of(FUTEX_WAKE_BITSET, flags), count, 0, 0, a[1]};
  return futex(old);
}

// waiters (from where to where), flags, nr_wake, nr_requeue
long futex_requeue(const long* a) {
  if (static_cast<unsigned>(a[1]) != 0 || a[0] == 0) {
    return -EINVAL;
  }
  Listed pair[2];
  if (!ops::copy_in(pair, a[0])) {
    return -EFAULT;
  }
  for (const Listed& one : pair) {
    if (is_for_kernel(one.flags)) {
      return to_kernel(SYS_futex_requeue, a);
    }
    if (long error = check_flags(one.flags); error != 0) {
      return error;
    }
    if (one.__reserved != 0 || is_wide(one.val)) {
      return -EINVAL;
    }
  }
  if (pair[0].flags != pair[1].flags) {
    return to_kernel(SYS_futex_requeue, a);
  }
  const long old[6] = {static_cast<long>(pair[0].uaddr),
                       operation_of(FUTEX_CMP_REQUEUE, pair[0].flags),
                       a[2],
                       static_cast<int>(a[3]),
                       static_cast<long>(pair[1].uaddr),
                       static_cast<long>(pair[0].val)};
  return futex(old);
}

}  // namespace ramie::host

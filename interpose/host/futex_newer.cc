// futex_wait, futex_wake and futex_requeue, the system calls of Linux 6.7
// (kernel/futex/syscalls.c): each is an operation of futex(2) with its arguments in another order,
// and a word that may be of another size some day.
#include <linux/futex.h>
#include <time.h>

#include <cerrno>
#include <cstdint>

#include "base/sys.h"
#include "core/carrier.h"
#include "interpose/host/futex.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

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

}  // namespace

// uaddr, val, mask, flags, timeout, clockid
long futex_wait(const long* a) {
  auto flags = static_cast<unsigned>(a[3]);
  if (is_for_kernel(flags)) {
    return to_kernel(SYS_futex_wait, a);
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
  futex_waitv pair[2];
  if (!ops::copy_in(pair, a[0])) {
    return -EFAULT;
  }
  for (const futex_waitv& one : pair) {
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

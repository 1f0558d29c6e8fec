// The arguments of a futex(2) call, taken apart: what the operations of futex.cc and futex_pi.cc
// share.
#pragma once

#include <linux/futex.h>

#include <atomic>
#include <cerrno>
#include <cstdint>

#include "base/deadline.h"

namespace ramie::host {

// The arguments of one call, under the kernel's names.
struct FutexCall {
  const long* raw;
  uint32_t* word = reinterpret_cast<uint32_t*>(raw[0]);
  int operation = static_cast<int>(raw[1]);
  uint32_t value = static_cast<uint32_t>(raw[2]);
  const timespec* timeout = reinterpret_cast<const timespec*>(raw[3]);
  int value2 = static_cast<int>(raw[3]);  // the same argument, of the operations without a time-out
  uint32_t* word2 = reinterpret_cast<uint32_t*>(raw[4]);
  uint32_t value3 = static_cast<uint32_t>(raw[5]);

  [[nodiscard]] int command() const { return operation & FUTEX_CMD_MASK; }
  [[nodiscard]] bool is_private() const { return (operation & FUTEX_PRIVATE_FLAG) != 0; }
  [[nodiscard]] bool is_realtime() const { return (operation & FUTEX_CLOCK_REALTIME) != 0; }
};

inline long check(const uint32_t* word) {
  auto address = reinterpret_cast<uintptr_t>(word);
  if (address % sizeof *word != 0) {
    return -EINVAL;
  }
  // Null and the page around it, the usual mistake.  Other bad addresses fault like any other
  // access.
  return address < 4096 ? -EFAULT : 0;
}

inline uint32_t load(uint32_t* word) {
  return std::atomic_ref<uint32_t>(*word).load(std::memory_order_seq_cst);
}

inline int64_t now_of(clockid_t clock) { return base::to_nanos(base::read_clock(clock)); }

// WAIT's time-out is a duration, the others' a point in time, on one of two clocks (LOCK_PI: the
// wall clock).  A point of the wall clock is converted here, once: if that clock is set during the
// wait, the wait doesn't notice.
inline long deadline_of(const FutexCall& call, base::Deadline& deadline) {
  if (call.timeout == nullptr) {
    return 0;
  }
  if (!base::is_valid(*call.timeout)) {
    return -EINVAL;
  }
  int64_t time = base::to_nanos(*call.timeout);
  int command = call.command();
  if (command == FUTEX_WAIT) {
    deadline = base::Deadline::after(base::now(), time);
  } else if (call.is_realtime() || command == FUTEX_LOCK_PI) {
    deadline = base::Deadline::after(base::now(), time - now_of(CLOCK_REALTIME));
  } else {
    deadline = base::Deadline::at(time);
  }
  return 0;
}

// A fiber's WAIT or WAIT_BITSET, for a waker that knows nothing of the parking lot.
long wait_in_kernel(const FutexCall& call, uint32_t bits, base::Deadline deadline);

}  // namespace ramie::host

// What a kernel thread of this process does, seen from outside.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ramie::core {

struct Activity {
  // The number of the system call in which it is, or:
  static constexpr long kNothing = -3;  // it has ended, or can't be seen
  static constexpr long kComputes = -2;
  static constexpr long kFault = -1;  // waits for a page

  long call = kNothing;
  uintptr_t pc = 0;  // likewise its registers, unless it computes
  uintptr_t sp = 0;
  uint64_t arguments = 0;  // a sum over the call's, to tell one call from the next

  bool operator==(const Activity&) const = default;
};

// man 5 proc, /proc/PID/syscall.  Opens a file: for threads whose descriptors are their own.
[[nodiscard]] Activity activity_of(int tid);

// Nanoseconds of processor time that a thread of this process has used.
[[nodiscard]] int64_t cpu_time(int tid);

}  // namespace ramie::core

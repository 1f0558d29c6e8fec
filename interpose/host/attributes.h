// What a program sets for one thread of how the kernel runs it: affinity, policy, nice
// value, I/O priority.
#pragma once

#include <cstdint>

#include "base/sched_attr.h"

namespace ramie::host {

struct Attributes {
  static constexpr unsigned kMostProcessors = 8192;  // of any kernel (NR_CPUS)

  uint64_t processors[kMostProcessors / 64] = {};
  base::SchedAttr policy;
  long priority = 0;  // 20 minus the nice value, which holds for every policy
  long io_priority = 0;

  bool operator==(const Attributes&) const = default;
};

// Of the kernel thread `tid`; 0 is the caller's.
[[nodiscard]] Attributes attributes_of(int tid);

// Whether a thread that the calling kernel thread starts may not inherit all of this.
[[nodiscard]] bool resets_on_fork();

// The call, whose arguments are the program's, asks for what the kernel thread `tid` has.  False
// where that isn't easily told.
[[nodiscard]] bool asks_for_what_is(long number, const long* arguments, int tid);

}  // namespace ramie::host

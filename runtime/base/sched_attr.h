// struct sched_attr in its first form (man 2 sched_setattr), which not every libc has.
#pragma once

#include <cstdint>

namespace ramie::base {

struct SchedAttr {
  uint32_t size = sizeof(SchedAttr);
  uint32_t policy = 0;
  uint64_t flags = 0;
  int32_t nice = 0;
  uint32_t priority = 0;
  uint64_t runtime = 0;  // of SCHED_OTHER, the slice; 0 before Linux 6.12
  uint64_t deadline = 0;
  uint64_t period = 0;

  bool operator==(const SchedAttr&) const = default;
};

// Whose priority ioprio_set(2) is asked about: one thread's.  The kernel's header, linux/ioprio.h,
// is no C++ in every version.
constexpr long kIoPriorityOfThread = 1;  // IOPRIO_WHO_PROCESS

}  // namespace ramie::base

// A relative time-out as ppoll, select and pselect6 take it: a struct in the program's memory, in
// which Linux stores what is left of it (man 2 select, NOTES).
#pragma once

#include <sys/time.h>
#include <time.h>

#include "base/deadline.h"

namespace ramie::ops {

class Timeout {
 public:
  // At `address` a timespec, or a timeval; 0 for no time-out.
  enum class Unit { nanoseconds, microseconds };
  explicit Timeout(long address, Unit unit = Unit::nanoseconds);

  // 0, -EFAULT or -EINVAL.
  [[nodiscard]] long error() const { return error_; }
  [[nodiscard]] base::Deadline deadline() const { return deadline_; }

  // Stores the time that is left.  A time-out of zero is left as it is.
  void store_rest() const;

 private:
  long address_;
  Unit unit_;
  long error_ = 0;
  bool is_zero_ = false;
  base::Deadline deadline_;
};

}  // namespace ramie::ops

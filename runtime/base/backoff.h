// For who waits until another kernel thread has done what takes it a moment, and can't be told.  A
// yield lets those run that wait for the same processor; but not one of a lower priority, if the
// caller's policy is SCHED_FIFO or SCHED_RR, and then only a sleep does.
#pragma once

#include <time.h>

#include "base/sys.h"

namespace ramie::base {

class Backoff {
 public:
  void wait() {
    constexpr int kYields = 100;
    if (tries_ < kYields) {
      ++tries_;
      (void)sys::call(SYS_sched_yield);
      return;
    }
    timespec span{0, 50'000};
    (void)sys::call(SYS_nanosleep, sys::arg(&span));
  }

 private:
  int tries_ = 0;
};

}  // namespace ramie::base

// What a carrier does before it blocks in the kernel by a call of which that is known: its place is
// another's at once, not only when the watchdog has noticed.
#pragma once

#include <cstdint>

#include "core/carrier.h"

namespace ramie::core {

// While one lives, the calling carrier doesn't count: one more may take part, and comes if there is
// something to do.  A signal's handler may run meanwhile, and switch: then it counts again, and the
// watchdog sees to that.
class Blocking {
 public:
  explicit Blocking(Carrier& carrier);
  ~Blocking();
  Blocking(const Blocking&) = delete;
  Blocking& operator=(const Blocking&) = delete;

 private:
  Carrier& carrier_;
  uint64_t mark_;
};

// Whether that carrier has announced itself, and has not switched since.  Takes back what one has
// announced that has.
[[nodiscard]] bool is_blocking(Carrier& carrier);

}  // namespace ramie::core

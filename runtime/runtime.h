// The one place that wires the layers together.
#pragma once

#include "core/carrier.h"

namespace ramie::runtime {

// Makes the calling kernel thread a carrier and, the first time, sets up what is the process's: the
// report of stack overflows and of deadlocks.
inline core::Carrier& start();

// In a fork's child, on the calling thread: forgets all fibers, carriers and descriptors of the
// parent. The thread is no carrier any more, if it was one, until it starts again.
void reset_after_fork();

// The same for a thread that is no carrier.
core::Carrier& start_on_thread();

core::Carrier& start() {
  const core::Fiber* fiber = core::current();
  return fiber != nullptr ? *fiber->carrier : start_on_thread();
}

}  // namespace ramie::runtime

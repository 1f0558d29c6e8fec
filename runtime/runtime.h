// The one place that wires the layers together.
#pragma once

#include "core/carrier.h"

namespace ramie::runtime {

// Makes the calling kernel thread a carrier and, the first time, sets up what is the process's: the
// report of stack overflows and of deadlocks.
core::Carrier& start();

// In a fork's child, on the calling fiber: forgets all fibers, carriers and descriptors of the
// parent. The calling thread is no carrier any more, until it starts again.
void reset_after_fork();

}  // namespace ramie::runtime

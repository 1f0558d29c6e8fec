// The report of a standstill: fibers are parked and nothing can wake them (RAMIE_DEADLOCK).
#pragma once

#include "core/fiber.h"

namespace ramie::event {

// Makes the scheduler report standstills if RAMIE_DEADLOCK asks for it.
void install_deadlock_report();

// Writes one line for each parked fiber (its id and name, what it waits for, since when) and a last
// one with their number to descriptor 2; with RAMIE_DEADLOCK=abort ends the process.  Once per
// standstill: not again until some fiber has parked since.  Called when no carrier runs anything.
void report_deadlock();

// The fibers that core doesn't list (those that the shim hosts): calls visit(fiber, argument) for
// each.
using FiberVisitor = void (*)(void (*visit)(core::Fiber& fiber, void* argument), void* argument);
void set_fiber_visitor(FiberVisitor visitor);

}  // namespace ramie::event

// What becomes of the wish that the running fiber yield (core/yield_wish.h).
#pragma once

#include "core/fiber.h"

namespace ramie::host {

// At the end of a call on a descriptor: lets others have their turn.  A thread that runs for long
// and never waits itself does so some times in a row; then it is left alone, gets stuck, and the
// kernel shares out the processor, which lets those who wait run as soon as they can.  Switches.
[[gnu::cold]] void give_way(core::Fiber& fiber);

}  // namespace ramie::host

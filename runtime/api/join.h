// See fiber.cc.
#pragma once

#include "core/carrier.h"

namespace ramie::detail {

// After fork, in the child, where the fiber that forked goes on alone: who joined it stayed behind.
void forget_joiners(core::Fiber& fiber);

}  // namespace ramie::detail

// Memory of stacks that nobody needs any more goes back to the system: late, since the next burst
// of fibers may want it, and a part of it at a time, while a carrier has nothing else to do.
#pragma once

#include <cstdint>

#include "base/deadline.h"

namespace ramie::core {

// Before a carrier sleeps: gives some back if it is time, at most once a second.  When it
// wants to be called again, even if nothing else happens; never() if there is nothing to give back.
[[nodiscard]] base::Deadline trim_stacks(int64_t now);

}  // namespace ramie::core

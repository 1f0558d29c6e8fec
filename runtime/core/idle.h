// Waiting for a moment in which the carrier has nothing else to run.
#pragma once

#include "base/intrusive_list.h"
#include "core/ticket.h"

namespace ramie::core {

struct Carrier;

// One who waits for that; lies on its stack, in its carrier's list.  Only that carrier's kernel
// thread touches either.
struct Idler : base::ListLink {
  Ticket ticket;
};

// Lets everything else that is ready on this carrier run, also what became ready by a time or a
// descriptor, and returns when there is nothing.  Those who wait so take turns, the first first.
// Wake::unparked, or what ended the wait early.  A fiber without a home only yields.
Wake idle();

// The loop, with nothing to run: has looked for events, and lets the first idler go on if that
// brought nothing.  False if nobody waits in idle().
bool serve_idler(Carrier& carrier);

}  // namespace ramie::core

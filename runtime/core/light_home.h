// Where light fibers live: on the carrier whose TCB they share, with whom they take turns.
//
// A thread that attached itself is such a carrier.  Under hosting there is one, the first thread's;
// its own fiber could run anywhere while nobody shares its TCB, and is bound to its carrier as soon
// as somebody does.
#pragma once

#include "core/carrier.h"

namespace ramie::core {

// The carrier for a light fiber that the caller makes.  May switch.
[[nodiscard]] inline Carrier& home_for_light_fibers();

// Under hosting: the carrier of the first thread.
[[nodiscard]] Carrier& first_carrier();

// The first thread's fiber, which calls, moves there and stays, until it calls release_first(),
// unless there are light fibers by then.
Carrier& bring_first_home();
void release_first(Carrier& home);

// Whether this process is going to have light fibers, as far as can be told: some exist.
[[nodiscard]] bool serves_light_fibers();

// The same for a caller that is none of them, and no thread that attached itself.
[[nodiscard]] Carrier& find_home_for_light_fibers();

Carrier& home_for_light_fibers() {
  const Fiber* self = current();
  return self != nullptr && (self->kind == FiberKind::light || self->host == nullptr)
             ? *self->carrier
             : find_home_for_light_fibers();
}

}  // namespace ramie::core

// The right to wake one particular park of one particular fiber.
#pragma once

#include <cstdint>

namespace ramie::core {

struct Fiber;

// A ticket is taken before the fiber puts itself on any wait list (prepare_park()) and goes stale
// as soon as that park ends; unparking with a stale one does nothing.  Control blocks of fibers are
// never unmapped and their epochs only grow, so a ticket may be kept and used for ever.
struct Ticket {
  Fiber* fiber = nullptr;
  uint64_t epoch = 0;
};

// How a park ended.
enum class Wake : uint8_t {
  unparked,     // somebody called unpark()
  timed_out,    // the deadline passed
  interrupted,  // a signal is to be handled by this fiber
  closed,       // the thing that was waited for is gone, e.g. the descriptor was closed
  cancelled,    // cancel(), or the end of a time-out scope: only for interruptible.h
};

}  // namespace ramie::core

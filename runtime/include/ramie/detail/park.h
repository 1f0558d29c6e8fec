// The parking lot (runtime/sync/parking_lot.h) as a pair of functions in the manner of futex(2), on
// which most of the public types are built, header by header.  Not part of the interface.
//
// A waiter waits on the address of a word as long as that holds a value; who changes the word wakes
// by the address alone.  So a word may be gone by the time of the wake-up: the last thing that a
// type does with itself is to change its word.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/cancel.h>

#include <cstdint>

namespace ramie::detail {

// One wait on a word.  False if the deadline passed first; throws where an interruption ended it,
// never where a waker did.  May return early: callers look at their word again.
[[nodiscard]] inline bool wait_on(const word& waited, std::uint32_t expected,
                                  std::int64_t deadline) {
  parked how = park_on(waited, expected, deadline);
  return wait_done(how != parked::timed_out && how != parked::cancelled, deadline);
}

}  // namespace ramie::detail

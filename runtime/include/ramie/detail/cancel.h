// The one place where a wait becomes an exception.  Not part of the interface.
//
// The slow path of a wait, in the library, opens a detail::Interruptible (runtime/api), and returns
// false when it ends without what was waited for.  Its inline part passes that through here:
//
//     return try_take() || detail::wait_done(detail::take_slowly(word_, deadline), deadline);
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/abi.h>

#include <cstdint>

namespace ramie::detail {

// Returns `done`, whether a wait with this deadline got what it wanted; if not, and an interruption
// was the reason, throws.  A wait with the deadline `never` returns true from here.
inline bool wait_done(bool done, std::int64_t deadline) {
  if (!done) [[unlikely]] {
    throw_interruption(deadline);
  }
  return done;
}

}  // namespace ramie::detail

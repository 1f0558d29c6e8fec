// The kernel's futex, for kernel threads that wait on a word of ours (man 2 futex).  Fibers never
// come here: they park.
#pragma once

#include <linux/futex.h>

#include <atomic>
#include <cstdint>

#include "base/deadline.h"
#include "base/sys.h"

namespace ramie::base {

// Sleeps while `word` holds `expected`, at the latest until `deadline`.  Returns 0, -EAGAIN
// (another value), -ETIMEDOUT or -EINTR; may wake spuriously.
inline long futex_wait(std::atomic<uint32_t>& word, uint32_t expected,
                       Deadline deadline = Deadline::never()) {
  timespec until = to_timespec(deadline.nanos);
  return sys::call(SYS_futex, sys::arg(&word), FUTEX_WAIT_BITSET | FUTEX_PRIVATE_FLAG, expected,
                   deadline.is_never() ? 0 : sys::arg(&until), 0, FUTEX_BITSET_MATCH_ANY);
}

[[gnu::always_inline]] inline long futex_wake(std::atomic<uint32_t>& word, int count) {
  return sys::call(SYS_futex, sys::arg(&word), FUTEX_WAKE | FUTEX_PRIVATE_FLAG, count);
}

}  // namespace ramie::base

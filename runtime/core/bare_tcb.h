// A thread control block for Ramie's own kernel threads and loops: just enough for core::current()
// and for the stack protector.  Nothing of libc that uses a thread-local may be called on it: code
// of the program needs a copy of what libc keeps there besides.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ramie::core {

// Static thread-locals lie below the FS base; no program has more, and what isn't touched costs
// nothing.
inline constexpr size_t kMostStaticTls = 1UL << 20;

// The FS base of a new one; 0 when memory is exhausted.  core::current() answers null
// on it until become_current() is called there.
[[nodiscard]] uintptr_t make_bare_tcb();

// One that no thread has begun to use.
void free_bare_tcb(uintptr_t fs);

}  // namespace ramie::core

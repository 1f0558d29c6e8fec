// A thread control block for Ramie's own kernel threads and loops: just enough for core::current(),
// for the stack protector and for clock_gettime(3), which is all of libc that the loop calls.  Not
// for code of the program.
#pragma once

#include <cstdint>

namespace ramie::core {

// The FS base of a new one; 0 when memory is exhausted.  core::current() answers null
// on it until become_current() is called there.
[[nodiscard]] uintptr_t make_bare_tcb();

// One that no thread has begun to use.
void free_bare_tcb(uintptr_t fs);

}  // namespace ramie::core

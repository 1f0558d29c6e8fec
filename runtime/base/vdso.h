// What the kernel offers in the vDSO (man 7 vdso): functions that need no entry into it, nor
// anything of libc.
#pragma once

namespace ramie::base {

// The function of that name, or null.  Reads its symbol table each time.
[[nodiscard]] void* find_in_vdso(const char* name);

}  // namespace ramie::base

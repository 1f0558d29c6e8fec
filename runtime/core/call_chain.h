// Who has called what a thread is doing: addresses found on its stack, without unwinding.
//
// Programs are compiled without frame pointers, and exception tables can't be interpreted from
// here; so each word of the stack's top that points behind a call instruction counts.  A word that
// an earlier call has left behind may be among them: for a report to a person that is good enough.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/format.h"
#include "base/memory_map.h"

namespace ramie::core {

struct CallChain {
  static constexpr size_t kMost = 8;

  uintptr_t frames[kMost] = {};  // innermost first: where it is, then return addresses
  size_t count = 0;
};

// Of a thread that is at `pc` with the stack pointer `sp`, and that may go on meanwhile.  Ramie's
// own frames are left out; a patched call counts as the site that was patched.
[[nodiscard]] CallChain find_callers(const base::MemoryMap& map, uintptr_t pc, uintptr_t sp);

// Appends "object+0x12 (function+0x3)" to `line`.
void describe_code(base::Line<512>& line, const base::MemoryMap& map, uintptr_t address);

}  // namespace ramie::core

// The exported function at an address of a loaded object, for reports.  It reads the object's
// dynamic symbols by read_memory(): no lock of the dynamic linker, no fault where the object has
// gone.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ramie::base {

struct CodeSymbol {
  char name[64] = {};  // cut where it is longer; empty: there is none
  uintptr_t offset = 0;
};

// `object` is where the object's first mapping begins.
[[nodiscard]] CodeSymbol find_code_symbol(uintptr_t object, uintptr_t address);

}  // namespace ramie::base

// The version of Ramie: of these headers by the macros, of the library in use by the function.
#pragma once

#include <ramie/export.h>

// Of these headers.
#define RAMIE_VERSION_MAJOR 0
#define RAMIE_VERSION_MINOR 1
#define RAMIE_VERSION_PATCH 0

namespace ramie {

// "major.minor.patch" of the library that the program runs with.  Any thread.
[[nodiscard]] RAMIE_API const char* version() noexcept;

}  // namespace ramie

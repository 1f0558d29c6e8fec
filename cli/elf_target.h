// Can this file run under the preload?  Only a program that loads libc dynamically can, and whoever
// asks for anything else should hear why, instead of seeing a program that ignores Ramie.
#pragma once

#include <string>

#include "cli/verdict.h"

namespace ramie::cli {

// `file` is a path, not a name to be looked up.  Follows scripts to their interpreter.
[[nodiscard]] Verdict check_target(const std::string& file);

}  // namespace ramie::cli

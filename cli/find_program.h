// Which file a command's name means.
#pragma once

#include <string>

#include "cli/verdict.h"

namespace ramie::cli {

// As execvp(3): a name with a slash is a path, another is looked up in PATH.  Fills `file` where
// the verdict is good.
[[nodiscard]] Verdict find_program(const std::string& name, std::string& file);

}  // namespace ramie::cli

// Where the library to preload is, and how a process is told to load it.
#pragma once

#include <string>

#include "cli/verdict.h"

namespace ramie::cli {

// Puts libramie-preload.so in front of LD_PRELOAD in this process's environment.  The library is
// sought in RAMIE_PRELOAD_PATH (a file), then relative to this executable: in a build tree beside
// cli/, in an installation in ../lib.  `file` becomes its path.
[[nodiscard]] Verdict set_preload(std::string& file);

}  // namespace ramie::cli

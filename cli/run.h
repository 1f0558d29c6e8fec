// `ramie run`: a program, its threads as fibers.
#pragma once

#include <string>
#include <utility>
#include <vector>

namespace ramie::cli {

struct RunOptions {
  // RAMIE_* variables that options set, with their values as the user wrote them.
  std::vector<std::pair<std::string, std::string>> variables;
  std::vector<std::string> command;  // the program's name and its arguments
};

// Replaces this process by the program.  Returns only if that fails: the exit status, after one
// line on standard error.
[[nodiscard]] int run(const RunOptions& options);

}  // namespace ramie::cli

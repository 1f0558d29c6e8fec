// The answer of every check that the command makes before it runs a program.
#pragma once

#include <string>
#include <utility>

namespace ramie::cli {

// Exit statuses as env(1) and timeout(1) have them.
inline constexpr int kUsage = 2;
inline constexpr int kOurFailure = 125;
inline constexpr int kCannotRun = 126;
inline constexpr int kNotFound = 127;

// Exit status 0: nothing stands against it.  Else the status to end with, and one line for the user
// (without "ramie: " in front and without a newline).
struct Verdict {
  int exit_status = 0;
  std::string problem;

  [[nodiscard]] bool good() const { return exit_status == 0; }

  static Verdict cannot_run(std::string why) { return {kCannotRun, std::move(why)}; }
};

}  // namespace ramie::cli

// Runs a program to its end and tells what it did: what it said, how it ended, and how many kernel
// threads it had at most.
#pragma once

#include <functional>

#include "support/process.h"

namespace ramie::testing {

struct Outcome {
  std::string output;
  std::string errors;
  int exit_code = -1;      // -1 unless it exited.
  int signal = 0;          // The one that ended it.
  bool timed_out = false;  // It was killed, with all that it had started.
  Peak peak;
  std::chrono::milliseconds wall{0};

  [[nodiscard]] bool ended_well() const { return exit_code == 0 && !timed_out; }
  // For a message: how it ended.
  [[nodiscard]] std::string ending() const;
};

// `observe` is called every few milliseconds while it runs. Throws std::system_error when it cannot
// be started at all.
[[nodiscard]] Outcome run_program(const Program& program,
                                  const std::function<void()>& observe = nullptr);

}  // namespace ramie::testing

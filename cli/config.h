// `ramie config`: the RAMIE_* variables as they stand, and where each value comes from.
#pragma once

#include <span>
#include <string>

#include "cli/run.h"

namespace ramie::cli {

// A variable that Ramie reads, and what holds when it is not set, as a user would write it; empty
// where nothing does.
struct Setting {
  const char* name;
  const char* fallback;
};
[[nodiscard]] std::span<const Setting> settings();

// The value of RAMIE_PATCH that leaves these families out: "a,b" -> "-a,-b".
[[nodiscard]] std::string excluded(const std::string& families);

// Puts the variables of `options` into the environment, and judges all that are there then.  False
// after one line on standard error, if a value is not understood.
[[nodiscard]] bool set_variables(const RunOptions& options);

// Prints one line for each; `options` are those of `ramie run`, which win over the environment.
// Returns the exit status: kUsage, after one line on standard error, if a value is not understood.
[[nodiscard]] int config(const RunOptions& options);

}  // namespace ramie::cli

// `ramie check`: what this host offers, and whether hosting works on it.
#pragma once

namespace ramie::cli {

// Prints the findings, one a line.  Returns the exit status: 0 if threads run as fibers here and
// the self-test has passed, 1 if not, 125 if it couldn't be tried.
[[nodiscard]] int check();

}  // namespace ramie::cli

// A twin: one program, run natively and under the preload. The native run is the oracle.
#pragma once

#include <string>

#include "support/run_program.h"

namespace ramie::testing {

// Whether the shim must have woken up. A blocking call that merely passes through would look like
// a success, so a program with threads must show that fibers ran and switched.
enum class Hosting { kExpected, kForbidden, kEither };

// The kernel threads that a hosted process may have: carriers and what serves them.
inline constexpr int kMostKernelThreads = 8;

struct Twin {
  std::string name;  // As in tests/known_failures.txt.
  Program program;
  Hosting hosting = Hosting::kExpected;
  int most_kernel_threads = kMostKernelThreads;
  bool in_scratch_directory = false;  // A fresh one for each run, for programs that leave files.
};

// What one process told about its hosting, summed over all processes that told.
struct HostingFigures {
  long processes = 0;
  long fibers = 0;
  long switches = 0;
};

struct HostedRun {
  Outcome outcome;
  HostingFigures figures;
};

// `program` with the preload in its environment.
[[nodiscard]] Program hosted(Program program);

// Runs it so, and collects its figures.
[[nodiscard]] HostedRun run_hosted(const Program& program);

// Runs it both ways, again where the native run does not say the same twice. Empty when all is
// well, else the reason why not, in a few lines.
[[nodiscard]] std::string difference(const Twin& twin);

// Makes a GoogleTest of it, named `suite.test`. A twin that tests/known_failures.txt lists must
// fail: once it passes, the list has to shrink.
void register_twin(const std::string& suite, const std::string& test, const Twin& twin);

}  // namespace ramie::testing

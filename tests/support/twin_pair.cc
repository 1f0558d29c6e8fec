#include "support/twin_pair.h"

#include <gtest/gtest.h>

#include <cstdio>
#include <cstdlib>
#include <map>
#include <sstream>

namespace ramie::testing {
namespace {

// `name  reason` per line; # begins a comment.
std::map<std::string, std::string> read_known_failures() {
  std::map<std::string, std::string> reasons;
  std::istringstream table(read_file(setting("KNOWN_FAILURES")));
  for (std::string line; std::getline(table, line);) {
    std::istringstream words(line);
    std::string name, reason;
    if (!(words >> name) || name[0] == '#') continue;
    std::getline(words >> std::ws, reason);
    reasons[name] = reason;
  }
  return reasons;
}

const std::map<std::string, std::string>& known_failures() {
  static const auto reasons = read_known_failures();
  return reasons;
}

HostingFigures read_figures(const std::string& path) {
  HostingFigures sum;
  std::istringstream lines(read_file(path));
  for (std::string line; std::getline(lines, line);) {
    long fibers = 0, switches = 0;
    if (std::sscanf(line.c_str(), "fibers=%ld switches=%ld", &fibers, &switches) != 2) continue;
    ++sum.processes;
    sum.fibers += fibers;
    sum.switches += switches;
  }
  return sum;
}

// The lines around the first one that differs.
std::string first_difference(const std::string& native, const std::string& hosted) {
  std::istringstream a(native), b(hosted);
  for (int number = 1;; ++number) {
    std::string left, right;
    const bool more_left = static_cast<bool>(std::getline(a, left));
    const bool more_right = static_cast<bool>(std::getline(b, right));
    if (!more_left && !more_right) return "only the end of the last line differs\n";
    if (more_left && more_right && left == right) continue;
    return "line " + std::to_string(number) + " natively: " + (more_left ? left : "(end)") +
           "\n        preloaded: " + (more_right ? right : "(end)") + "\n";
  }
}

// With the exported names alone threads stay the kernel's.
bool entry_leaves_threads_alone() {
  const char* entry = std::getenv("RAMIE_ENTRY");
  return entry != nullptr && std::string(entry) == "symbols";
}

std::string judge_hosting(const Twin& twin, const HostedRun& run) {
  const Hosting expected = twin.hosting;
  const auto& figures = run.figures;
  if (entry_leaves_threads_alone()) {
    return figures.processes > 0 ? "threads were hosted\n" : "";
  }
  if (expected == Hosting::kForbidden && figures.processes > 0) {
    return "the shim woke up in a program without threads\n";
  }
  if (expected == Hosting::kExpected && figures.fibers == 0) return "no fiber was hosted\n";
  if (expected == Hosting::kExpected && figures.switches == 0) return "no switch happened\n";
  if (expected == Hosting::kExpected && run.outcome.peak.threads > twin.most_kernel_threads) {
    return std::to_string(run.outcome.peak.threads) + " kernel threads\n";
  }
  return {};
}

Outcome run_native(const Twin& twin) {
  Program program = twin.program;
  if (!twin.in_scratch_directory) return run_program(program);
  const ScratchDirectory scratch;
  program.directory = scratch.path();
  return run_program(program);
}

HostedRun run_preloaded(const Twin& twin) {
  if (!twin.in_scratch_directory) return run_hosted(twin.program);
  const ScratchDirectory scratch;
  Program program = twin.program;
  program.directory = scratch.path();
  return run_hosted(program);
}

bool is_as(const Outcome& one, const Outcome& other) {
  return one.exit_code == other.exit_code && one.output == other.output;
}

// As difference(), from one native run.
std::string difference_from(const Outcome& native, const Twin& twin) {
  const HostedRun hosted = run_preloaded(twin);
  std::string reasons;
  if (hosted.outcome.exit_code != native.exit_code) {
    reasons += "preloaded: " + hosted.outcome.ending() + "\n";
  }
  if (hosted.outcome.output != native.output) {
    reasons += first_difference(native.output, hosted.outcome.output);
  }
  reasons += judge_hosting(twin, hosted);
  if (!reasons.empty() && !hosted.outcome.errors.empty()) {
    reasons += "standard error: " + hosted.outcome.errors;
  }
  return reasons;
}

class TwinTest : public ::testing::Test {
 public:
  explicit TwinTest(Twin twin) : twin_(std::move(twin)) {}

  void TestBody() override {
    const std::string reason = difference(twin_);
    // The list is about hosted threads.
    const auto known =
        entry_leaves_threads_alone() ? known_failures().end() : known_failures().find(twin_.name);
    if (known == known_failures().end()) {
      if (!reason.empty()) ADD_FAILURE() << twin_.name << ": " << reason;
    } else if (reason.empty()) {
      ADD_FAILURE() << twin_.name << " is listed in tests/known_failures.txt (" << known->second
                    << ") and passes: take it off the list";
    } else {
      GTEST_SKIP() << "known failure: " << known->second;
    }
  }

 private:
  Twin twin_;
};

}  // namespace

Program hosted(Program program) {
  program.environment.push_back("LD_PRELOAD=" + setting("RAMIE_PRELOAD"));
  return program;
}

HostedRun run_hosted(const Program& program) {
  const ScratchDirectory scratch;
  const std::string stats = scratch.file("stats");
  Program with_stats = hosted(program);
  with_stats.environment.push_back("RAMIE_STATS=" + stats);
  HostedRun run;
  run.outcome = run_program(with_stats);
  run.figures = read_figures(stats);
  return run;
}

std::string difference(const Twin& twin) {
  // A native run that says something else the next time is no oracle: the machine is too busy for
  // what the program takes for granted.  Then another pair decides.
  constexpr int kPairs = 3;
  std::string reasons;
  for (int i = 0; i < kPairs; ++i) {
    const Outcome native = run_native(twin);
    if (!native.ended_well()) {
      reasons =
          "the native run is no oracle: " + native.ending() + "\n" + native.output + native.errors;
      continue;
    }
    reasons = difference_from(native, twin);
    if (reasons.empty() || is_as(native, run_native(twin))) break;
  }
  return reasons;
}

void register_twin(const std::string& suite, const std::string& test, const Twin& twin) {
  ::testing::RegisterTest(suite.c_str(), test.c_str(), nullptr, nullptr, __FILE__, __LINE__,
                          [twin]() -> ::testing::Test* { return new TwinTest(twin); });
}

}  // namespace ramie::testing

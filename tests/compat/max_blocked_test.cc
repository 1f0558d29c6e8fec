// RAMIE_MAX_BLOCKED: how many kernel threads serve calls that block.
#include <gtest/gtest.h>

#include <string>

#include "support/twin_pair.h"

namespace {

using ramie::testing::hosted;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::run_program;
using ramie::testing::setting;

// Twelve threads wait for one lock of a file.
Outcome lock_with(const std::string& most) {
  const Program program{{setting("TWIN_BIN_DIR") + "/blocking_calls", "many_in_flock"},
                        {"RAMIE_CARRIERS=1", "RAMIE_MAX_BLOCKED=" + most},
                        {}};
  Outcome outcome = run_program(hosted(program));
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.output << outcome.errors;
  EXPECT_EQ(outcome.output, "all have had it\n");
  return outcome;
}

TEST(MaxBlocked, BoundsTheHelperThreads) {
  constexpr int kOthers = 4;  // the carrier, the watchdog, and a carrier more should one be stuck
  EXPECT_LE(lock_with("2").peak.threads, 2 + kOthers);
  EXPECT_GE(lock_with("512").peak.threads, 12);
}

}  // namespace

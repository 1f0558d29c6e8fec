// mallopt(M_MMAP_THRESHOLD) of a hosted program. Set by meson.build: MALLOC_THRESHOLD,
// RAMIE_PRELOAD.
#include <gtest/gtest.h>

#include <string>

#include "support/twin_pair.h"

namespace {

using ramie::testing::hosted;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::run_program;
using ramie::testing::setting;

std::string mappings_of(const Program& program) {
  const Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  return outcome.output;
}

TEST(MallocThreshold, BelowTheDefaultIsNotTakenBesideFibers) {
  const Program program{{setting("MALLOC_THRESHOLD")}, {}, {}};
  EXPECT_EQ(mappings_of(program), "(1) most most (1) most (1) none ");
  EXPECT_EQ(mappings_of(hosted(program)), "(1) most none (1) none (1) none ");
}

}  // namespace

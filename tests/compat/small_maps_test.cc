// Small mappings that a hosted program makes often come with their pages. Set by meson.build:
// SMALL_MAPS, RAMIE_PRELOAD.
#include <gtest/gtest.h>

#include <string>

#include "support/twin_pair.h"

namespace {

using ramie::testing::hosted;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::run_program;
using ramie::testing::setting;

std::string pages_of(const Program& program) {
  const Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  return outcome.output;
}

TEST(SmallMaps, OfASizeThatIsUsedOftenHaveTheirPagesAtOnce) {
  const Program program{{setting("SMALL_MAPS")}, {}, {}};
  EXPECT_EQ(pages_of(program), "0 0\n");
  EXPECT_EQ(pages_of(hosted(program)), "0 320\n");
}

}  // namespace

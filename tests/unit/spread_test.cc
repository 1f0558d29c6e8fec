// When a carrier that shares its processor with another one goes away.
#include "core/spread.h"

#include <gtest/gtest.h>

namespace ramie::test {
namespace {

using core::Spread;
using Sight = Spread::Sight;

constexpr uint32_t kHere = 3;
constexpr uint32_t kElsewhere = 4;

int64_t at(int look) { return look * Spread::kInterval; }

TEST(Spread, KeepsTheProcessorOfAPlace) {
  EXPECT_EQ(Spread::processor_of(Spread::pack(at(1'000'000), kHere)), kHere);
}

TEST(Spread, APlaceThatIsNotNewSaysNothing) {
  Spread notes;
  notes.last = Spread::pack(at(7), kHere);
  EXPECT_EQ(notes.see(Spread::pack(at(7), kHere), kHere), Sight::nothing);
  EXPECT_EQ(notes.see(0, 0), Sight::nothing);  // of one that has not looked yet
  EXPECT_EQ(notes.see(Spread::pack(at(8), kHere), kHere), Sight::here);
  EXPECT_EQ(notes.see(Spread::pack(at(8), kElsewhere), kHere), Sight::elsewhere);
}

TEST(Spread, GoesAwayAfterMeetingsInARow) {
  Spread notes;
  EXPECT_FALSE(notes.judge(Sight::here));
  EXPECT_FALSE(notes.judge(Sight::here));
  EXPECT_FALSE(notes.judge(Sight::elsewhere));  // not in a row
  EXPECT_FALSE(notes.judge(Sight::here));
  EXPECT_FALSE(notes.judge(Sight::nothing));  // which neither counts nor ends the row
  EXPECT_FALSE(notes.judge(Sight::here));
  EXPECT_TRUE(notes.judge(Sight::here));
}

}  // namespace
}  // namespace ramie::test

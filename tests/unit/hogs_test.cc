// Who held up the others is known by address, for a second.
#include "core/hogs.h"

#include <gtest/gtest.h>

#include <vector>

#include "core/fiber.h"

namespace ramie::core {
namespace {

constexpr int64_t kMs = 1'000'000;

const Fiber* fiber_at(uintptr_t address) { return reinterpret_cast<const Fiber*>(address); }

TEST(Hogs, AreKnownForASecond) {
  Hogs hogs;
  EXPECT_FALSE(hogs.is_one(fiber_at(0x7000'0000), 0));
  hogs.note(fiber_at(0x7000'0000), 5 * kMs);
  EXPECT_TRUE(hogs.is_one(fiber_at(0x7000'0000), 5 * kMs));
  EXPECT_TRUE(hogs.is_one(fiber_at(0x7000'0000), 1000 * kMs));
  EXPECT_FALSE(hogs.is_one(fiber_at(0x7000'0000), 1006 * kMs));
  EXPECT_FALSE(hogs.is_one(fiber_at(0x7001'0000), 5 * kMs));
  hogs.note(fiber_at(0x7000'0000), 2000 * kMs);
  hogs.keep(fiber_at(0x7000'0000), 2900 * kMs);
  EXPECT_TRUE(hogs.is_one(fiber_at(0x7000'0000), 3800 * kMs));
  hogs.keep(fiber_at(0x7000'0000), 3901 * kMs);
  EXPECT_FALSE(hogs.is_one(fiber_at(0x7000'0000), 3902 * kMs));
}

TEST(Hogs, MayReturnAtOnceOnly) {
  Hogs hogs;
  EXPECT_FALSE(hogs.may_return(0));
  hogs.note(fiber_at(0x7000'0000), 5 * kMs);
  EXPECT_TRUE(hogs.may_return(24 * kMs));
  EXPECT_FALSE(hogs.may_return(26 * kMs));
  hogs.expect(30 * kMs);
  EXPECT_TRUE(hogs.may_return(49 * kMs));
  EXPECT_FALSE(hogs.is_one(fiber_at(0x7000'0000), 1006 * kMs));
}

TEST(Hogs, NeighboursHavePlacesOfTheirOwn) {
  Hogs hogs;
  std::vector<const Fiber*> fibers;
  for (uintptr_t i = 0; i < 16; ++i) {
    fibers.push_back(fiber_at(0x7f00'0000'0000 + i * 0x10000));
    hogs.note(fibers.back(), 0);
  }
  size_t known = 0;
  for (const Fiber* fiber : fibers) {
    known += hogs.is_one(fiber, 1) ? 1 : 0;
  }
  EXPECT_GE(known, 12U);
}

}  // namespace
}  // namespace ramie::core

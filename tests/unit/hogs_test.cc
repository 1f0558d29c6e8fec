// Who held up the others is known by address, for a second, and has its turn after them.
#include "core/hogs.h"

#include <gtest/gtest.h>

#include <vector>

#include "base/config.h"
#include "core/carrier.h"
#include "core/fiber.h"

namespace ramie::core {
namespace {

constexpr int64_t kMs = 1'000'000;

const Fiber* fiber_at(uintptr_t address) { return reinterpret_cast<const Fiber*>(address); }

TEST(Hogs, AreKnownForASecond) {
  Hogs known;
  EXPECT_FALSE(known.is_one(fiber_at(0x7000'0000), 0));
  known.note(fiber_at(0x7000'0000), 5 * kMs);
  EXPECT_TRUE(known.is_one(fiber_at(0x7000'0000), 5 * kMs));
  EXPECT_TRUE(known.is_one(fiber_at(0x7000'0000), 1000 * kMs));
  EXPECT_FALSE(known.is_one(fiber_at(0x7000'0000), 1006 * kMs));
  EXPECT_FALSE(known.is_one(fiber_at(0x7001'0000), 5 * kMs));
  known.note(fiber_at(0x7000'0000), 2000 * kMs);
  known.keep(fiber_at(0x7000'0000), 2900 * kMs);
  EXPECT_TRUE(known.is_one(fiber_at(0x7000'0000), 3800 * kMs));
  known.keep(fiber_at(0x7000'0000), 3901 * kMs);
  EXPECT_FALSE(known.is_one(fiber_at(0x7000'0000), 3902 * kMs));
}

TEST(Hogs, MayReturnAtOnceOnly) {
  Hogs known;
  EXPECT_FALSE(known.may_return(0));
  known.note(fiber_at(0x7000'0000), 5 * kMs);
  EXPECT_TRUE(known.may_return(24 * kMs));
  EXPECT_FALSE(known.may_return(26 * kMs));
  known.expect(30 * kMs);
  EXPECT_TRUE(known.may_return(49 * kMs));
  EXPECT_FALSE(known.is_one(fiber_at(0x7000'0000), 1006 * kMs));
}

TEST(Hogs, NeighboursHavePlacesOfTheirOwn) {
  Hogs known;
  std::vector<const Fiber*> fibers;
  for (uintptr_t i = 0; i < 16; ++i) {
    fibers.push_back(fiber_at(0x7f00'0000'0000 + i * 0x10000));
    known.note(fibers.back(), 0);
  }
  size_t found = 0;
  for (const Fiber* fiber : fibers) {
    found += known.is_one(fiber, 1) ? 1 : 0;
  }
  EXPECT_GE(found, 12U);
}

TEST(Hogs, AreForgotten) {
  Hogs known;
  EXPECT_FALSE(known.any());
  known.note(fiber_at(0x7000'0000), 5 * kMs);
  known.forget(1004 * kMs);
  EXPECT_TRUE(known.any());
  known.forget(1005 * kMs);
  EXPECT_FALSE(known.any());
}

class HogsTurn : public testing::Test {
 protected:
  HogsTurn() {
    carrier_.now = 5 * kMs;
    hogs.note(&hog_, carrier_.now);
  }
  ~HogsTurn() override { hogs.forget(INT64_MAX); }

  void make_ready(Fiber& fiber) { EXPECT_TRUE(carrier_.ready.push(&fiber)); }
  void run_somebody() { carrier_.switches.fetch_add(1); }

  Carrier carrier_;
  Fiber hog_;
  Fiber other_;
};

TEST_F(HogsTurn, IsAfterThoseWhomALookMakesReady) {
  make_ready(hog_);
  EXPECT_EQ(carrier_.take_ready(), nullptr);
  EXPECT_EQ(carrier_.deferral.fiber, &hog_);
  make_ready(other_);
  end_deferral(carrier_);
  EXPECT_EQ(carrier_.take_ready(), &other_);
  run_somebody();
  EXPECT_EQ(carrier_.take_ready(), nullptr) << "there is no look at what the other one has done";
  end_deferral(carrier_);
  EXPECT_EQ(carrier_.take_ready(), &hog_);
  EXPECT_EQ(carrier_.take_ready(), nullptr);
  EXPECT_EQ(carrier_.deferral.fiber, nullptr);
}

TEST_F(HogsTurn, ComesInAPartOfASlice) {
  make_ready(hog_);
  for (int64_t end = carrier_.now + base::config().slice / 4; carrier_.now < end;
       carrier_.now += kMs / 4) {
    EXPECT_EQ(carrier_.take_ready(), nullptr);
    make_ready(other_);
    end_deferral(carrier_);
    EXPECT_EQ(carrier_.take_ready(), &other_);
    run_somebody();
  }
  make_ready(other_);
  EXPECT_EQ(carrier_.take_ready(), &hog_);
}

TEST_F(HogsTurn, DoesNotWaitBesidePinnedFibers) {
  make_ready(hog_);
  carrier_.pinned.push(&other_);
  carrier_.switches.store(1);  // the turn of those that have no home
  EXPECT_EQ(carrier_.take_ready(), &hog_);
}

TEST_F(HogsTurn, OfOthersIsAsEver) {
  make_ready(other_);
  EXPECT_EQ(carrier_.take_ready(), &other_);
}

}  // namespace
}  // namespace ramie::core

#include <ramie/latch.h>

#include <atomic>
#include <chrono>
#include <memory>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Crew>
class Latch : public ::testing::Test {
 protected:
  Crew crew;
};
TYPED_TEST_SUITE(Latch, Crews);

TYPED_TEST(Latch, LetsEverybodyGoAtZero) {
  latch count(4);
  std::atomic<int> passed = 0;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      count.arrive_and_wait();
      ++passed;
    });
  }
  this->crew.start([&] {
    count.wait();
    ++passed;
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&count) == 4; }));
  EXPECT_FALSE(count.try_wait());
  EXPECT_EQ(passed, 0);
  count.count_down();
  EXPECT_TRUE(eventually([&] { return passed == 4; }));
  EXPECT_TRUE(count.try_wait());
  count.wait();
  this->crew.join();
}

TYPED_TEST(Latch, ATimedWaitEndsAtItsTime) {
  latch count(1);
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_FALSE(count.wait_for(10ms));
    EXPECT_FALSE(count.wait_until(before));
    EXPECT_GE(std::chrono::steady_clock::now() - before, 10ms);
  });
  this->crew.join();
  count.count_down();
  EXPECT_TRUE(count.wait_for(0ms));
}

TYPED_TEST(Latch, MayBeDestroyedByWhoeverWaitsForIt) {
  for (int i = 0; i < 100; ++i) {
    auto count = std::make_shared<latch*>(new latch(1));
    std::atomic<bool> begins = false;
    this->crew.start([&begins, count] {
      latch* waited = *count;
      begins = true;
      waited->wait();
      delete waited;
    });
    latch* counted = *count;
    ASSERT_TRUE(eventually([&] { return begins.load(); }));
    counted->count_down();
    this->crew.join();
  }
}

TEST(Latches, OfZeroLetEverybodyPass) {
  constinit static latch open(0);
  EXPECT_TRUE(open.try_wait());
  open.wait();
}

}  // namespace
}  // namespace ramie::test

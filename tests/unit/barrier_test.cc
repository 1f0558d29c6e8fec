#include <ramie/barrier.h>

#include <array>
#include <atomic>

#include "crew.h"

namespace ramie::test {
namespace {

template <class Crew>
class Barrier : public ::testing::Test {
 protected:
  Crew crew;
};
TYPED_TEST_SUITE(Barrier, Crews);

TYPED_TEST(Barrier, NobodyIsAPhaseAhead) {
  constexpr int kWorkers = 6;
  constexpr int kPhases = 50;
  std::atomic<int> arrived = 0;
  int phases = 0;
  barrier meeting(kWorkers, [&]() noexcept {
    EXPECT_EQ(arrived, kWorkers);
    arrived = 0;
    ++phases;
  });
  for (int i = 0; i < kWorkers; ++i) {
    this->crew.start([&] {
      for (int phase = 0; phase < kPhases; ++phase) {
        EXPECT_EQ(phases, phase);
        ++arrived;
        meeting.arrive_and_wait();
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(phases, kPhases);
}

TYPED_TEST(Barrier, ArrivingAndWaitingAreTwoThings) {
  barrier meeting(2);
  auto token = meeting.arrive();
  std::atomic<bool> passed = false;
  this->crew.start([&] {
    meeting.arrive_and_wait();
    passed = true;
  });
  meeting.wait(std::move(token));
  EXPECT_TRUE(eventually([&] { return passed.load(); }));
  this->crew.join();
}

TYPED_TEST(Barrier, WhoDropsOutIsNotWaitedForAgain) {
  std::atomic<int> phases = 0;
  barrier meeting(3, [&]() noexcept { ++phases; });
  this->crew.start([&] { meeting.arrive_and_drop(); });
  for (int i = 0; i < 2; ++i) {
    this->crew.start([&] {
      for (int phase = 0; phase < 5; ++phase) {
        meeting.arrive_and_wait();
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(phases, 5);
}

TYPED_TEST(Barrier, TheCompletionMaySwitch) {
  std::atomic<int> done = 0;
  auto completion = [&]() noexcept {
    yield();
    ++done;
  };
  barrier meeting(3, completion);
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      for (int phase = 1; phase <= 5; ++phase) {
        meeting.arrive_and_wait();
        EXPECT_GE(done, phase);
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(done, 5);
}

}  // namespace
}  // namespace ramie::test

// The list of the crew's carriers: those that end are struck off, while others go through it.
#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/carrier.h"
#include "core/loop.h"

namespace ramie::core {
namespace {

bool is_listed(const Carrier& wanted) {
  Carrier* carrier = carriers_of_crew();
  while (carrier != nullptr && carrier != &wanted) {
    carrier = carrier->next_in_crew;
  }
  return carrier != nullptr;
}

TEST(CrewList, HoldsWhoWasEnlistedAndNotStruckOff) {
  std::vector<std::unique_ptr<Carrier>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(std::make_unique<Carrier>());
    enlist(*all.back());
  }
  for (int first : {1, 0, 2}) {
    strike_off(*all[static_cast<size_t>(first)]);
    EXPECT_FALSE(is_listed(*all[static_cast<size_t>(first)]));
  }
  EXPECT_EQ(carriers_of_crew(), nullptr);
}

TEST(CrewList, NobodyWhoStaysIsMissedWhileOthersComeAndGo) {
  constexpr int kRounds = 20'000;
  Carrier stays;
  enlist(stays);
  std::vector<std::unique_ptr<Carrier>> others;
  std::vector<std::thread> threads;
  std::atomic<int> at_work = 3;
  for (int i = 0; i < 3; ++i) {
    others.push_back(std::make_unique<Carrier>());
    threads.emplace_back([&at_work, &other = *others.back()] {
      for (int round = 0; round < kRounds; ++round) {
        enlist(other);
        EXPECT_TRUE(is_listed(other));
        strike_off(other);
      }
      --at_work;
    });
  }
  while (at_work > 0) {
    ASSERT_TRUE(is_listed(stays));
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(carriers_of_crew(), &stays);
  strike_off(stays);
}

}  // namespace
}  // namespace ramie::core

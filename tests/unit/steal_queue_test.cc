// The ring of ready fibers that others steal from.
#include "core/steal_queue.h"

#include <gtest/gtest.h>

#include <atomic>
#include <memory>
#include <thread>
#include <vector>

#include "core/fiber.h"

namespace ramie::core {
namespace {

std::unique_ptr<Fiber[]> fibers(uint32_t n) { return std::make_unique<Fiber[]>(n); }

TEST(StealQueue, IsInOrderHoweverManyAreReady) {
  constexpr uint32_t kFibers = 5 * StealQueue::kCapacity;
  auto all = fibers(kFibers);
  StealQueue queue;
  uint32_t taken = 0;
  for (uint32_t i = 0; i < kFibers; ++i) {
    ASSERT_TRUE(queue.push(&all[i]));
    if (i % 3 == 0) {  // so that the ring's beginning isn't the array's
      ASSERT_EQ(queue.pop(), &all[taken++]);
    }
  }
  EXPECT_EQ(queue.size(), kFibers - taken);
  while (taken < kFibers) {
    ASSERT_EQ(queue.pop(), &all[taken++]);
  }
  EXPECT_EQ(queue.pop(), nullptr);
}

TEST(StealQueue, TheOldestAreStolen) {
  constexpr uint32_t kFibers = 3 * StealQueue::kCapacity;
  auto all = fibers(kFibers);
  StealQueue from;
  StealQueue thief;
  for (uint32_t i = 0; i < kFibers; ++i) {
    ASSERT_TRUE(from.push(&all[i]));
  }
  ASSERT_EQ(from.give_half_to(thief), StealQueue::kMostStolen);
  EXPECT_EQ(thief.pop(), &all[0]);
  EXPECT_EQ(from.pop(), &all[StealQueue::kMostStolen]);
}

TEST(StealQueue, AGlanceTakesNothing) {
  auto all = fibers(2);
  StealQueue queue;
  EXPECT_EQ(queue.glance(0), nullptr);
  ASSERT_TRUE(queue.push(&all[0]));
  EXPECT_EQ(queue.glance(1), nullptr);
  ASSERT_TRUE(queue.push(&all[1]));
  EXPECT_EQ(queue.glance(0), &all[0]);
  EXPECT_EQ(queue.glance(1), &all[1]);
  EXPECT_EQ(queue.pop(), &all[0]);
  EXPECT_EQ(queue.glance(0), &all[1]);
}

TEST(StealQueue, WhatIsClosedTakesNothingUntilItIsOpened) {
  auto all = fibers(2 * StealQueue::kCapacity + 1);
  StealQueue queue;
  for (uint32_t i = 0; i <= StealQueue::kCapacity; ++i) {
    ASSERT_TRUE(queue.push(&all[i]));
  }
  queue.close();
  EXPECT_FALSE(queue.push(&all[0]));
  queue.open();
  for (uint32_t i = StealQueue::kCapacity + 1; i <= 2 * StealQueue::kCapacity; ++i) {
    ASSERT_TRUE(queue.push(&all[i])) << "as large as before";
  }
}

TEST(StealQueue, NoneIsLostOrTakenTwiceWhileItGrows) {
  constexpr uint32_t kFibers = 200'000;
  auto all = fibers(kFibers);
  auto seen = std::make_unique<std::atomic<int>[]>(kFibers);
  StealQueue queue;
  std::atomic<bool> filled = false;
  auto note = [&](Fiber* fiber) { ++seen[static_cast<size_t>(fiber - all.get())]; };
  std::vector<std::thread> thieves;
  for (int i = 0; i < 2; ++i) {
    thieves.emplace_back([&] {
      StealQueue mine;
      for (;;) {
        bool is_last = filled;
        if (queue.give_half_to(mine) == 0 && is_last) {
          return;
        }
        while (Fiber* fiber = mine.pop()) {
          note(fiber);
        }
      }
    });
  }
  for (uint32_t i = 0; i < kFibers; ++i) {
    ASSERT_TRUE(queue.push(&all[i]));
    if (i % 8 == 0) {
      if (Fiber* fiber = queue.pop()) {
        note(fiber);
      }
    }
  }
  filled = true;
  for (auto& thief : thieves) {
    thief.join();
  }
  for (uint32_t i = 0; i < kFibers; ++i) {
    ASSERT_EQ(seen[i], 1) << i;
  }
}

}  // namespace
}  // namespace ramie::core

// When a carrier that shares its processor with another one goes away.
#include "core/spread.h"

#include <gtest/gtest.h>
#include <sched.h>
#include <unistd.h>

#include <atomic>
#include <optional>
#include <thread>

#include "core/carrier.h"
#include "core/scheduler.h"
#include "core/thread_activity.h"
#include "core/thread_state.h"
#include "support/own_process.h"

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

TEST(Patience, GrowsWhileNothingIsGained) {
  core::Patience patience;
  int64_t now = at(1000);
  EXPECT_TRUE(patience.is_over(now, 2));
  patience.fail(now);
  EXPECT_FALSE(patience.is_over(now + core::Patience::kLeast - 1, 2));
  now += core::Patience::kLeast;
  EXPECT_TRUE(patience.is_over(now, 2));
  patience.fail(now);
  EXPECT_FALSE(patience.is_over(now + core::Patience::kLeast, 2));
  for (int i = 0; i < 100; ++i) {
    patience.fail(now);
  }
  EXPECT_FALSE(patience.is_over(now + core::Patience::kMost - 1, 2));
  EXPECT_TRUE(patience.is_over(now + core::Patience::kMost, 2));
}

TEST(Patience, IsShortAgainWithAnotherNumber) {
  core::Patience patience;
  int64_t now = at(1000);
  for (int i = 0; i < 100; ++i) {
    (void)patience.is_over(now, 2);
    patience.fail(now);
  }
  EXPECT_FALSE(patience.is_over(now, 3));
  EXPECT_TRUE(patience.is_over(now + Spread::kStay, 3));
  patience.fail(now);
  EXPECT_TRUE(patience.is_over(now + core::Patience::kLeast, 3));
}

// The two of it compute for ever, so it runs in a process of its own.  One of them may have to be
// left as it is.
void compute_on_one_processor(int kept) {
  cpu_set_t before;
  cpu_set_t one;
  sched_getaffinity(0, sizeof before, &before);
  CPU_ZERO(&one);
  for (int i = 0; i < CPU_SETSIZE && CPU_COUNT(&one) == 0; ++i) {
    if (CPU_ISSET(i, &before)) {
      CPU_SET(i, &one);
    }
  }
  static std::atomic<core::Carrier*> computing[2];
  for (std::atomic<core::Carrier*>& carrier : computing) {
    std::thread([&carrier, one] {
      sched_setaffinity(0, sizeof one, &one);
      carrier = &core::attach();
      while (carrier != nullptr) {
      }
    }).detach();
    while (carrier == nullptr) {
      usleep(1000);
    }
  }
  for (std::atomic<core::Carrier*>& carrier : computing) {
    core::Watched& notes = carrier.load()->watched;
    notes.places = 1;
    notes.cpu_before = core::cpu_time(carrier.load()->kernel_tid) - Spread::kStay / 3;
    notes.since = base::now() - Spread::kStay;
  }
  (void)core::processor_of(gettid());  // what it needs is there then
  for (std::atomic<core::Carrier*>& carrier : computing) {
    sched_setaffinity(carrier.load()->kernel_tid, sizeof before, &before);
  }
  { core::AsUsual for_a_moment(*computing[0]); }
  std::optional<core::AsUsual> for_long;
  if (kept >= 0) {
    for_long.emplace(*computing[kept]);
  }
  core::part_stuck_carriers(base::now(), 2);
  EXPECT_NE(core::processor_of(computing[0].load()->kernel_tid),
            core::processor_of(computing[1].load()->kernel_tid));
  for (std::atomic<core::Carrier*>& carrier : computing) {
    cpu_set_t after;
    sched_getaffinity(carrier.load()->kernel_tid, sizeof after, &after);
    EXPECT_TRUE(CPU_EQUAL(&before, &after));
  }
}

TEST(Spread, OfTwoThatComputeOnOneProcessorTheWatchdogMovesOne) {
  cpu_set_t all;
  ASSERT_EQ(sched_getaffinity(0, sizeof all, &all), 0);
  if (CPU_COUNT(&all) < 2) {
    GTEST_SKIP() << "one processor";
  }
  for (int kept : {-1, 0, 1}) {
    test::expect_in_a_process([kept] { compute_on_one_processor(kept); });
  }
}

}  // namespace
}  // namespace ramie::test

// Which slice the kernel gives the carriers, while one of them computes.
#include "core/kernel_slice.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/sched_attr.h"
#include "core/crew.h"
#include "core/loop.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "support/own_process.h"

namespace ramie::core {
namespace {

using test::expect_in_a_process;

// In ns; 0 before Linux 6.12.
uint64_t slice_of(int tid) {
  base::SchedAttr found;
  EXPECT_EQ(syscall(SYS_sched_getattr, tid, &found, sizeof found, 0), 0);
  return found.runtime;
}

// The limit only keeps a broken test from hanging.
template <class Condition, class Meanwhile>
bool comes_true(Condition condition, Meanwhile meanwhile) {
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
    meanwhile();
  }
  return true;
}

void compute() {}

void compute_for(int ms) {
  auto end = std::chrono::steady_clock::now() + std::chrono::milliseconds(ms);
  while (std::chrono::steady_clock::now() < end) {
  }
}

void nap(int ms) {
  (void)prepare_park();
  (void)park({WaitKind::sleep, 0}, base::Deadline::after(base::now(), ms * int64_t{1'000'000}));
}

// A carrier that sleeps, beside the caller's.
Carrier& begin_with_another() {
  static std::atomic<Carrier*> other = nullptr;
  attach();
  std::thread([] {
    other = &attach();
    (void)prepare_park();
    (void)park({WaitKind::none, 0});
  }).detach();
  EXPECT_TRUE(
      comes_true([] { return other != nullptr && other.load()->sleeping == kInFutex; }, compute));
  start_crew(2);
  return *other;
}

class KernelSlice : public testing::Test {
 protected:
  void SetUp() override {
    if (slice_of(0) <= 300'000) {
      GTEST_SKIP() << "the kernel has no slices by thread, or short ones";
    }
  }
};

TEST_F(KernelSlice, OneThatSleepsHasAShortOneWhileAnotherComputes) {
  expect_in_a_process([] {
    uint64_t before = slice_of(0);
    Carrier& other = begin_with_another();
    EXPECT_TRUE(comes_true([&] { return slice_of(other.kernel_tid) == 300'000; }, compute));
    EXPECT_EQ(slice_of(0), before);
    EXPECT_TRUE(comes_true([&] { return slice_of(other.kernel_tid) == before; }, [] { nap(1); }));
  });
}

TEST_F(KernelSlice, OneThatIsAskedHasTheUsualOneMeanwhile) {
  expect_in_a_process([] {
    uint64_t before = slice_of(0);
    Carrier& other = begin_with_another();
    EXPECT_TRUE(comes_true([&] { return slice_of(other.kernel_tid) == 300'000; }, compute));
    {
      AsUsual while_asked(other);
      EXPECT_EQ(slice_of(other.kernel_tid), before);
      compute_for(50);
      EXPECT_EQ(slice_of(other.kernel_tid), before);
    }
    EXPECT_TRUE(comes_true([&] { return slice_of(other.kernel_tid) == 300'000; }, compute));
  });
}

TEST_F(KernelSlice, OneThatMakesAChildKeepsTheUsualOneUntilItHasSwitched) {
  expect_in_a_process([] {
    attach();
    keep_as_usual();
    Carrier& self = *current()->carrier;
    int was_changed = 0;
    auto change = [](Carrier&, void* changed) { ++*static_cast<int*>(changed); };
    change_for_a_moment(self, change, &was_changed);
    EXPECT_EQ(was_changed, 0);
    self.switches.fetch_add(1);
    change_for_a_moment(self, change, &was_changed);
    EXPECT_EQ(was_changed, 1);
  });
}

TEST_F(KernelSlice, AllHaveTheUsualOneWhileTheWatchdogSleeps) {
  expect_in_a_process([] {
    uint64_t before = slice_of(0);
    Carrier& other = begin_with_another();
    EXPECT_TRUE(comes_true([&] { return slice_of(other.kernel_tid) == 300'000; }, compute));
    static std::atomic<uint64_t> seen = 0;
    // Not a carrier, so nobody wakes the watchdog.
    std::thread observer([&other] {
      usleep(300'000);
      seen = slice_of(other.kernel_tid);
    });
    nap(1000);
    observer.join();
    EXPECT_EQ(seen, before);
  });
}

TEST_F(KernelSlice, OneThatComputesHasTheUsualOneAlsoWhereNobodyMayStandIn) {
  expect_in_a_process([] {
    setenv("RAMIE_MAX_BLOCKED", "1", 1);
    uint64_t before = slice_of(0);
    static std::atomic<int> others[2] = {};
    for (std::atomic<int>& other : others) {
      std::thread([&other] {
        other = attach().kernel_tid;
        while (other != 0) {
        }
      }).detach();
    }
    attach();
    EXPECT_TRUE(comes_true([] { return others[0] != 0 && others[1] != 0; }, compute));
    start_crew(3);
    auto are_all_usual = [before] {
      return slice_of(0) == before && slice_of(others[0]) == before &&
             slice_of(others[1]) == before;
    };
    compute_for(300);
    int unusual = 0;
    for (int i = 0; i < 100; ++i) {
      compute_for(1);
      unusual += are_all_usual() ? 0 : 1;
    }
    EXPECT_EQ(unusual, 0);
  });
}

}  // namespace
}  // namespace ramie::core

// Who wants the watchdog to look now is heard at once, whether it ticks or sleeps.
#include "core/watchdog.h"

#include <gtest/gtest.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "core/crew.h"
#include "core/errand.h"
#include "core/kernel_thread.h"
#include "core/park.h"
#include "core/scheduler.h"

namespace ramie::core {
namespace {

using std::chrono::steady_clock;
using namespace std::chrono_literals;

// A slice that is longer than any test, so that the watchdog's ticks are as long as they get: half
// a second.
class Watchdog : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    setenv("RAMIE_SLICE", "60000", 1);
    attach();
    start_crew(1);
    ASSERT_TRUE(is_watchdog_there());
  }
};

struct Errand {
  KernelThread thread;  // the first member: run() is called with that one
  std::atomic<bool> ran = false;

  // A thread that the watchdog starts; how long that took.
  steady_clock::duration run() {
    thread.run = [](KernelThread& self) {
      reinterpret_cast<Errand*>(&self)->ran.store(true, std::memory_order_release);
    };
    auto begin = steady_clock::now();
    EXPECT_EQ(start_by_watchdog(thread), 0);
    auto end = steady_clock::now();
    while (!ran.load(std::memory_order_acquire) || thread.tid.load() != 0) {
      std::this_thread::yield();
    }
    ran = false;
    return end - begin;
  }
};

// By one that waits out the ticks it would be a quarter of a second for each on average.
TEST_F(Watchdog, IsHeardBetweenItsTicks) {
  constexpr int kErrands = 40;
  Errand errand;
  std::this_thread::sleep_for(1200ms);  // this carrier never sleeps, and ticks get longer
  auto all = steady_clock::duration::zero();
  for (int i = 0; i < kErrands; ++i) {
    std::this_thread::sleep_for(10ms);
    all += errand.run();
  }
  EXPECT_LT(all, kErrands * 100ms);
}

TEST_F(Watchdog, IsHeardInItsSleep) {
  std::atomic<bool> is_done = false;
  std::thread asker([&] {
    Errand errand;
    for (int i = 0; i < 2; ++i) {
      std::this_thread::sleep_for(1500ms);
      EXPECT_LT(errand.run(), 5s);
    }
    is_done = true;
  });
  while (!is_done) {
    (void)sleep_until(base::Deadline::after(base::now(), 3 * base::kNanosPerSecond));
  }
  asker.join();
}

// Each as soon as the one before is done, so that some ask while the watchdog looks, and some on
// its way to its sleep.
TEST_F(Watchdog, HearsEachOfMany) {
  constexpr int kAskers = 4;
  constexpr int kErrands = 100;
  std::vector<std::thread> askers;
  auto begin = steady_clock::now();
  for (int i = 0; i < kAskers; ++i) {
    askers.emplace_back([] {
      Errand errand;
      for (int round = 0; round < kErrands; ++round) {
        (void)errand.run();
      }
    });
  }
  for (std::thread& one : askers) {
    one.join();
  }
  EXPECT_LT(steady_clock::now() - begin, kAskers * kErrands * 100ms);
}

}  // namespace
}  // namespace ramie::core

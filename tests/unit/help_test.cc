// Who is called for help, with a poller that this test makes up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdlib>
#include <thread>

#include "base/config.h"
#include "core/crew.h"
#include "core/loop.h"
#include "core/park.h"
#include "core/poller.h"
#include "core/scheduler.h"

namespace ramie::core {
namespace {

// Without letting a fiber run.  The limit only keeps a broken test from hanging.
template <class Condition>
bool comes_true(Condition condition) {
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
  }
  return true;
}

void compute_for_slices(int count) {
  auto end =
      std::chrono::steady_clock::now() + std::chrono::nanoseconds(count * base::config().slice);
  (void)comes_true([end] { return std::chrono::steady_clock::now() > end; });
}

// In a process of its own, since the carriers of a crew don't end.
void expect_in_a_process(void (*body)()) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto run = [body] {
    body();
    _exit(testing::Test::HasFailure() ? EXIT_FAILURE : EXIT_SUCCESS);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(EXIT_SUCCESS), "");
}

std::atomic<bool> has_waiters = false;
std::atomic<bool> is_somebody_in_poller = false;

constexpr Poller kNothingHappens{[](base::Deadline deadline, tls::Cpu&) {
                                   is_somebody_in_poller = true;
                                   while (deadline.is_never()) {
                                     pause();
                                   }
                                 },
                                 [] {}, [] { return has_waiters.load(); }};

void begin_with_watchdog() {
  attach();
  set_poller(&kNothingHappens);
  start_crew(1);
}

TEST(Help, NobodyIsCalledForACarrierThatHoldsUpNobody) {
  expect_in_a_process([] {
    begin_with_watchdog();
    EXPECT_TRUE(comes_true([] { return crew.limit == 2U; }));
    compute_for_slices(5);
    EXPECT_EQ(crew.active, 1U);
    EXPECT_EQ(crew.searching, 0U);
  });
}

TEST(Help, SomebodyIsCalledToWatchForEvents) {
  expect_in_a_process([] {
    begin_with_watchdog();
    has_waiters = true;
    EXPECT_TRUE(comes_true([] { return is_somebody_in_poller.load(); }));
    EXPECT_EQ(crew.active, 2U);
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst) << "no offer was in vain";
  });
}

Ticket in_poller;

TEST(Help, NobodyIsCalledForAFiberThatTheLoopRunsNext) {
  expect_in_a_process([] {
    static std::atomic<Carrier*> other = nullptr;
    std::thread([] {
      other = &attach();
      (void)prepare_park();
      (void)park({WaitKind::none, 0});
    }).detach();
    EXPECT_TRUE(comes_true([] { return other != nullptr && other.load()->sleeping == kInFutex; }));
    attach();
    static constexpr Poller kOneEvent{[](base::Deadline, tls::Cpu&) { (void)unpark(in_poller); },
                                      [] {}, [] { return true; }};
    set_poller(&kOneEvent);
    current()->home = nullptr;  // a fiber that any carrier might run
    in_poller = prepare_park();
    EXPECT_EQ(park({WaitKind::none, 0}), Wake::unparked);
    EXPECT_EQ(crew.searching, 0U);
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst);
  });
}

}  // namespace
}  // namespace ramie::core

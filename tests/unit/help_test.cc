// Who is called for help, with a poller that this test makes up.
#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <thread>

#include "base/config.h"
#include "core/crew.h"
#include "core/loop.h"
#include "core/park.h"
#include "core/poller.h"
#include "core/scheduler.h"
#include "support/own_process.h"

namespace ramie::core {
namespace {

using test::expect_in_a_process;

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

std::atomic<bool> has_waiters = false;
std::atomic<bool> is_somebody_in_poller = false;

constexpr Poller kNothingHappens{
    [](base::Deadline deadline, tls::Cpu&, const std::atomic<uint64_t>*) {
      is_somebody_in_poller = true;
      while (deadline.is_never()) {
        pause();
      }
      return false;
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

std::atomic<Carrier*> another = nullptr;

// A second carrier, which sleeps until it is called.
void begin_beside_a_sleeper() {
  std::thread([] {
    another = &attach();
    (void)prepare_park();
    (void)park({WaitKind::none, 0});
  }).detach();
  EXPECT_TRUE(
      comes_true([] { return another != nullptr && another.load()->sleeping == kInFutex; }));
  attach();
}

bool is_search_over() { return crew.searching == 0U && another.load()->sleeping == kInFutex; }

TEST(Help, AnOfferInVainSpeaksAgainstFurtherOnes) {
  expect_in_a_process([] {
    begin_beside_a_sleeper();
    call_help();
    EXPECT_TRUE(comes_true(is_search_over));
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst - 2);
  });
}

TEST(Help, ACallOnSuspicionInVainSpeaksAgainstNothing) {
  expect_in_a_process([] {
    begin_beside_a_sleeper();
    call_help_on_suspicion();
    EXPECT_TRUE(comes_true(is_search_over));
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst);
    // Nor does it take the next offer's place.
    call_help();
    EXPECT_TRUE(comes_true(is_search_over));
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst - 2);
    call_help_on_suspicion();
    EXPECT_TRUE(comes_true(is_search_over));
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst - 2);
  });
}

TEST(Help, AnOfferThatIsTakenSpeaksForFurtherOnes) {
  expect_in_a_process([] {
    begin_beside_a_sleeper();
    static std::atomic<Carrier*> ran_on = nullptr;
    static char stack[256UL * 1024];
    static WholeFiber fiber;
    fiber.kind = FiberKind::hosted;
    fiber.stack = {stack, sizeof stack};
    fiber.entry = [](Fiber& self) {
      ran_on = self.carrier;
      exit_current({});
    };
    fiber.fs_base = another.load()->loop.fs_base;
    fiber.context = make_context(fiber.stack.top(), fiber.stack.size, fiber_main);
    fiber.sanitizer.create(fiber.stack.base, fiber.stack.size);
    {
      RuntimeSection section(*current());
      enqueue(*current()->carrier, fiber);
    }
    call_help();
    EXPECT_TRUE(comes_true(is_search_over));
    EXPECT_EQ(ran_on, another);
    EXPECT_EQ(crew.eagerness, Crew::kEagerAtFirst + 1);
  });
}

Ticket in_poller;

TEST(Help, NobodyIsCalledForAFiberThatTheLoopRunsNext) {
  expect_in_a_process([] {
    begin_beside_a_sleeper();
    static constexpr Poller kOneEvent{[](base::Deadline, tls::Cpu&, const std::atomic<uint64_t>*) {
                                        (void)unpark(in_poller);
                                        return true;
                                      },
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

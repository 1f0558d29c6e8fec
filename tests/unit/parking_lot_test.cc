#include "sync/parking_lot.h"

#include <pthread.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <vector>

#include "core/carrier.h"
#include "core/park.h"
#include "crew.h"

namespace ramie::test {
namespace {

using sync::Outcome;
using sync::park;
using sync::ParkOptions;
using sync::ParkResult;
using sync::unpark;

constexpr auto kAlways = [] { return true; };

template <class Crew>
class ParkingLot : public ::testing::Test {
 protected:
  // Starts a worker that parks, and returns once it has.
  void start_parked(const void* address, ParkOptions options = {}) {
    unsigned before = parked_on(address);
    size_t index = results.size();
    results.push_back({Outcome::invalid, 0});
    crew.start([this, address, options, index] {
      ParkResult result = park(address, options, kAlways);
      results[index] = result;
      order.push_back(index);  // only read and written by workers that are woken one by one
      returned.fetch_add(1);
    });
    ASSERT_TRUE(eventually([&] { return parked_on(address) == before + 1; }));
  }

  [[nodiscard]] bool eventually_returned(unsigned count) {
    return eventually([&] { return returned.load() == count; });
  }

  void SetUp() override { results.reserve(16); }

  int word = 0;
  int other = 0;
  std::vector<ParkResult> results;
  std::vector<size_t> order;
  std::atomic<unsigned> returned = 0;
  Crew crew;
};
TYPED_TEST_SUITE(ParkingLot, Kinds);

TYPED_TEST(ParkingLot, AFalseValidationWaitsForNothing) {
  this->crew.start([this] {
    EXPECT_EQ(park(&this->word, {}, [] { return false; }).how, Outcome::invalid);
    EXPECT_EQ(parked_on(&this->word), 0U);
  });
}

TYPED_TEST(ParkingLot, AnUnparkBeforeTheParkIsNotLost) {
  std::atomic<bool> open = false;
  std::atomic<bool> validated = false;
  this->crew.start([&] {
    (void)eventually([&] { return validated.load(); });
    open = true;
    EXPECT_EQ(unpark(&this->word, 1), 1U);
  });
  // The waker comes after validation has begun, and waits for the bucket's lock.
  EXPECT_EQ(park(&this->word, {},
                 [&] {
                   validated = true;
                   return !open.load();
                 })
                .how,
            Outcome::woken);
}

TYPED_TEST(ParkingLot, WakesInTheOrderOfArrival) {
  for (int i = 0; i < 3; ++i) {
    this->start_parked(&this->word);
  }
  for (unsigned i = 1; i <= 3; ++i) {
    EXPECT_EQ(unpark(&this->word, 1), 1U);
    ASSERT_TRUE(this->eventually_returned(i));
  }
  EXPECT_EQ(this->order, (std::vector<size_t>{0, 1, 2}));
}

TYPED_TEST(ParkingLot, OneThatWaitedBeforeGoesToTheFront) {
  this->start_parked(&this->word);
  this->start_parked(&this->word, {.front = true});
  unpark(&this->word, 1);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(this->order.front(), 1U);
  unpark(&this->word, 1);
}

TYPED_TEST(ParkingLot, WakesAsManyAsAskedFor) {
  for (int i = 0; i < 5; ++i) {
    this->start_parked(&this->word);
  }
  EXPECT_EQ(unpark(&this->word, 1), 1U);
  EXPECT_EQ(parked_on(&this->word), 4U);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(unpark(&this->other, sync::kEverybody), 0U);
  // One at a time, for the sake of `order`.
  for (unsigned i = 2; i <= 5; ++i) {
    EXPECT_EQ(unpark(&this->word, 1), 1U);
    ASSERT_TRUE(this->eventually_returned(i));
  }
  EXPECT_EQ(unpark(&this->word, sync::kEverybody), 0U);
}

TYPED_TEST(ParkingLot, WakesMoreThanItsListOfWakeUpsHolds) {
  constexpr unsigned kMany = 100;
  std::atomic<unsigned> woken = 0;
  for (unsigned i = 0; i < kMany; ++i) {
    this->crew.start([&] {
      EXPECT_EQ(park(&this->word, {}, kAlways).how, Outcome::woken);
      ++woken;
    });
  }
  ASSERT_TRUE(eventually([&] { return parked_on(&this->word) == kMany; }));
  EXPECT_EQ(unpark(&this->word, sync::kEverybody), kMany);
  EXPECT_TRUE(eventually([&] { return woken.load() == kMany; }));
}

TYPED_TEST(ParkingLot, BitsChooseTheWaiters) {
  this->start_parked(&this->word, {.bits = 0b01});
  this->start_parked(&this->word, {.bits = 0b10});
  EXPECT_EQ(unpark(&this->word, 1, 0b100), 0U);
  EXPECT_EQ(unpark(&this->word, 1, 0b10), 1U);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(this->order.front(), 1U);
  EXPECT_EQ(unpark(&this->word, 1), 1U);
}

TYPED_TEST(ParkingLot, TimesOutAndIsGone) {
  int64_t before = base::now();
  this->start_parked(&this->word, {.deadline = in_ms(20)});
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_GE(base::now() - before, 20'000'000);
  EXPECT_EQ(this->results[0].how, Outcome::timed_out);
  EXPECT_EQ(unpark(&this->word, 1), 0U);
}

TYPED_TEST(ParkingLot, AWokenTimedWaitIsNotATimeOut) {
  this->start_parked(&this->word, {.deadline = in_ms(60'000)});
  unpark(&this->word, 1);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(this->results[0].how, Outcome::woken);
}

TYPED_TEST(ParkingLot, ARequeuedWaiterIsWokenAtItsNewAddress) {
  for (int i = 0; i < 3; ++i) {
    this->start_parked(&this->word);
  }
  sync::RequeueResult moved = sync::requeue(&this->word, &this->other, 1, 1, kAlways);
  EXPECT_TRUE(moved.valid);
  EXPECT_EQ(moved.woken, 1U);
  EXPECT_EQ(moved.requeued, 1U);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(parked_on(&this->word), 1U);
  EXPECT_EQ(unpark(&this->other, sync::kEverybody), 1U);
  ASSERT_TRUE(this->eventually_returned(2));
  EXPECT_EQ(unpark(&this->word, sync::kEverybody), 1U);
  ASSERT_TRUE(this->eventually_returned(3));
  EXPECT_EQ(this->order, (std::vector<size_t>{0, 1, 2}));
}

TYPED_TEST(ParkingLot, ARequeueThatIsNotValidMovesNobody) {
  this->start_parked(&this->word);
  EXPECT_FALSE(sync::requeue(&this->word, &this->other, 1, 1, [] { return false; }).valid);
  EXPECT_EQ(parked_on(&this->word), 1U);
  unpark(&this->word, 1);
}

TYPED_TEST(ParkingLot, ARequeuedWaiterThatTimesOutLeavesTheNewQueue) {
  this->start_parked(&this->word, {.deadline = in_ms(30)});
  EXPECT_EQ(sync::requeue(&this->word, &this->other, 0, 1, kAlways).requeued, 1U);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(this->results[0].how, Outcome::timed_out);
  EXPECT_EQ(unpark(&this->other, sync::kEverybody), 0U);
}

TYPED_TEST(ParkingLot, UnparkOneTellsWhoIsThereAndPassesAToken) {
  this->start_parked(&this->word, {.wants_handoff = true});
  this->start_parked(&this->word);
  auto expect = [&](bool found, bool has_more, bool wants_handoff, uintptr_t token) {
    bool did = sync::unpark_one(&this->word, [&](sync::UnparkOne one) {
      EXPECT_EQ(one.found, found);
      EXPECT_EQ(one.has_more, has_more);
      EXPECT_EQ(one.wants_handoff, wants_handoff);
      return token;
    });
    EXPECT_EQ(did, found);
  };
  expect(true, true, true, 7);
  ASSERT_TRUE(this->eventually_returned(1));
  expect(true, false, false, 8);
  ASSERT_TRUE(this->eventually_returned(2));
  expect(false, false, false, 9);
  EXPECT_EQ(this->results[0].token, 7U);
  EXPECT_EQ(this->results[1].token, 8U);
}

TYPED_TEST(ParkingLot, UnparkTwoWakesTheSecondOnlyIfTheOperationSaysSo) {
  this->start_parked(&this->word);
  this->start_parked(&this->other);
  EXPECT_EQ(sync::unpark_two(&this->word, 1, &this->other, 1, [] { return false; }).first, 1U);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(parked_on(&this->other), 1U);
  sync::PairResult woken = sync::unpark_two(&this->word, 1, &this->other, 1, kAlways);
  EXPECT_EQ(woken.first, 0U);
  EXPECT_EQ(woken.second, 1U);
  ASSERT_TRUE(this->eventually_returned(2));
}

TYPED_TEST(ParkingLot, WhatRunsBeforeTheSleepMayUseTheLot) {
  std::atomic<bool> done = false;
  this->crew.start([&] {
    ParkResult result = park(&this->word, {}, kAlways, [&] {
      EXPECT_EQ(unpark(&this->word, 1), 1U);  // itself, which is queued already
    });
    EXPECT_EQ(result.how, Outcome::woken);
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
}

TYPED_TEST(ParkingLot, ErrnoSurvivesAWait) {
  std::atomic<bool> done = false;
  this->crew.start([&] {
    errno = 77;
    (void)park(&this->word, {.deadline = in_ms(1)}, kAlways);
    EXPECT_EQ(errno, 77);
    done = true;
  });
  errno = 5;
  EXPECT_TRUE(eventually([&] { return done.load(); }));
}

TEST(ParkingLotInterrupted, AFiberReturnsFromItsPark) {
  int word = 0;
  core::Fiber* parked = nullptr;
  fiber<void> waiter = spawn([&] {
    parked = core::current();
    EXPECT_EQ(park(&word, {}, kAlways).how, Outcome::interrupted);
    EXPECT_EQ(unpark(&word, 1), 0U);
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&word) == 1; }));
  EXPECT_TRUE(core::interrupt(*parked));
  waiter.get();
}

void let_usr1_interrupt() {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  sigaction(SIGUSR1, &action, nullptr);
}

TEST(ParkingLotInterrupted, AKernelThreadReturnsAfterASignal) {
  let_usr1_interrupt();
  int word = 0;
  std::atomic<bool> done = false;
  std::thread waiter([&] {
    EXPECT_EQ(park(&word, {}, kAlways).how, Outcome::interrupted);
    EXPECT_EQ(unpark(&word, 1), 0U);
    done = true;
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&word) == 1; }));
  // Repeated, because a signal that comes before the thread sleeps interrupts nothing.
  ASSERT_TRUE(eventually([&] {
    pthread_kill(waiter.native_handle(), SIGUSR1);
    return done.load();
  }));
  waiter.join();
}

TEST(ParkingLotInterrupted, AKernelThreadIsWokenAndInterruptedAtOnce) {
  let_usr1_interrupt();
  constexpr int kRounds = 20'000;
  int word = 0;
  std::atomic<int> woken = 0;
  std::thread waiter([&] {
    while (woken < kRounds) {
      woken += park(&word, {}, kAlways).how == Outcome::woken ? 1 : 0;
    }
  });
  while (woken < kRounds) {
    pthread_kill(waiter.native_handle(), SIGUSR1);
    (void)unpark(&word, 1);
  }
  waiter.join();
}

// A fiber that is woken as well goes on, and its next park ends.
TEST(ParkingLotInterrupted, AFiberThatIsWokenAsWellKeepsTheInterruption) {
  int word = 0;
  core::Fiber* parked = nullptr;
  fiber<void> waiter = spawn([&] {
    parked = core::current();
    EXPECT_EQ(park(&word, {}, kAlways).how, Outcome::woken);
    EXPECT_EQ(park(&word, {}, kAlways).how, Outcome::interrupted);
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&word) == 1; }));
  EXPECT_TRUE(core::interrupt(*parked));
  EXPECT_EQ(unpark(&word, 1), 1U);
  waiter.get();
}

TEST(ParkingLotSignals, AFiberIsInTheRuntimeFromItsTicketToItsSleep) {
  int word = 0;
  fiber<void> waiter = spawn([&] {
    const std::atomic<uint32_t>& depth = core::current()->runtime_depth;
    EXPECT_EQ(depth, 0U);
    (void)park(
        &word, {},
        [&] {
          EXPECT_GT(depth, 0U);
          return true;
        },
        [&] { EXPECT_GT(depth, 0U); });
    EXPECT_EQ(depth, 0U);
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&word) == 1; }));
  EXPECT_EQ(unpark(&word, 1), 1U);
  waiter.get();
}

std::atomic<unsigned> handled = 0;

void handle_pending(core::Fiber& fiber) {
  if (fiber.signal_pending.exchange(false)) {
    ++handled;
  }
}

TEST(ParkingLotSignals, ASignalIsHandledAmidAWaitForSeveral) {
  static constexpr core::SignalHooks kHooks{.leave = handle_pending};
  core::set_signal_hooks(&kHooks);
  int word = 0;
  core::Fiber* waiting = nullptr;
  sync::Watch* fired = nullptr;
  sync::Watch watched;
  fiber<void> waiter = spawn([&] {
    sync::WatchSet set;
    ASSERT_TRUE(sync::watch(watched, set, &word, kAlways));
    waiting = core::current();
    fired = sync::wait_fired(set, base::Deadline::never());
    sync::unwatch(watched);
  });
  ASSERT_TRUE(eventually([&] { return waiting != nullptr; }));
  waiting->signal_pending = true;
  ASSERT_TRUE(eventually([&] {
    core::RuntimeSection section(*core::current());
    return core::interrupt(*waiting);
  }));
  EXPECT_TRUE(eventually([&] { return handled == 1; }));
  EXPECT_EQ(fired, nullptr);
  EXPECT_EQ(unpark(&word, 1), 1U);
  waiter.get();
  EXPECT_EQ(fired, &watched);
  static constexpr core::SignalHooks kNone;
  core::set_signal_hooks(&kNone);
}

TEST(ParkingLotFork, TheChildStartsWithoutWaiters) {
  int word = 0;
  fiber<void> waiter = spawn([&] { (void)park(&word, {}, kAlways); });
  ASSERT_TRUE(eventually([&] { return parked_on(&word) == 1; }));
  pid_t child = fork();
  if (child == 0) {
    sync::reset_after_fork();
    _exit(static_cast<int>(unpark(&word, sync::kEverybody)));
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(unpark(&word, 1), 1U);
  waiter.get();
}

}  // namespace
}  // namespace ramie::test

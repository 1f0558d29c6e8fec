// Fibers whose turns are long have them after those that have waited.
#include "core/turns.h"

#include <gtest/gtest.h>

#include "base/config.h"
#include "base/deadline.h"
#include "core/carrier.h"
#include "core/cpu_clock.h"
#include "core/crew.h"

namespace ramie::core {
namespace {

using Look = Turns::Look;

constexpr int64_t kMs = 1'000'000;

class TurnsTest : public testing::Test {
 protected:
  TurnsTest() {
    carrier_.turns.look = Look::measures;
    carrier_.now = 5 * kMs;
    for (Fiber* fiber : {&busy_, &other_, &third_}) {
      fiber->kind = FiberKind::hosted;
    }
    busy_.busy = 255;
  }
  ~TurnsTest() override { crew.express.reset(); }

  // Takes the next one, which runs and then waits.
  Fiber* run_next() {
    Fiber* next = take_next(carrier_);
    if (next == nullptr && carrier_.turns.put_off != nullptr) {
      next = after_others(carrier_);
    }
    carrier_.switches.fetch_add(next != nullptr ? 1 : 0);
    return next;
  }

  // The loop's turn, in which a fiber uses that much processor time.
  void let_run(Fiber& fiber, int64_t nanos) {
    begin_anew(carrier_, base::now());
    begin_turns(carrier_);
    for (int64_t begin = own_cpu_time(); own_cpu_time() - begin < nanos;) {
    }
    if (carrier_.turns.measures()) {
      note_turn(carrier_, fiber);
    }
    carrier_.now = base::now();
    end_turns(carrier_);
  }

  Carrier carrier_;
  WholeFiber busy_;
  WholeFiber other_;
  WholeFiber third_;
};

TEST_F(TurnsTest, BusyOnesComeAfterThoseWhomALookMakesReady) {
  enqueue(carrier_, busy_);
  EXPECT_EQ(take_next(carrier_), nullptr);
  EXPECT_EQ(carrier_.turns.put_off, &busy_);
  enqueue(carrier_, other_);
  EXPECT_EQ(after_others(carrier_), nullptr);
  EXPECT_EQ(run_next(), &other_);
  EXPECT_EQ(run_next(), &busy_);
  EXPECT_EQ(run_next(), nullptr);
  EXPECT_TRUE(carrier_.ready.empty());
}

TEST_F(TurnsTest, BusyOnesWaitBesideOthersOfACarrierThatDoesNotMeasure) {
  carrier_.turns.look = Look::none;
  enqueue(carrier_, busy_);
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), nullptr);
  EXPECT_EQ(run_next(), &other_);
  EXPECT_EQ(run_next(), &busy_);
}

TEST_F(TurnsTest, BusyOnesHaveTheirTurnAfterAPartOfASlice) {
  enqueue(carrier_, busy_);
  for (int64_t end = carrier_.now + base::config().slice / 4; carrier_.now < end;
       carrier_.now += kMs / 4) {
    enqueue(carrier_, other_);
    EXPECT_EQ(run_next(), &other_);
  }
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), &busy_);
  EXPECT_EQ(run_next(), &other_);
}

TEST_F(TurnsTest, BusyOnesHaveTurnsAmongThemselves) {
  third_.busy = 255;
  enqueue(carrier_, busy_);
  enqueue(carrier_, third_);
  EXPECT_EQ(run_next(), &busy_);
  enqueue(carrier_, busy_);
  EXPECT_EQ(run_next(), &third_);
  EXPECT_EQ(run_next(), &busy_);
}

TEST_F(TurnsTest, OthersGoFirstAgainAfterABusyOnesTurn) {
  third_.busy = 255;
  enqueue(carrier_, busy_);
  enqueue(carrier_, third_);
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), &other_);
  EXPECT_EQ(run_next(), &busy_);
  carrier_.now += base::config().slice;  // that was long
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), &other_);
  EXPECT_EQ(run_next(), &third_);
}

TEST_F(TurnsTest, PinnedFibersHaveTheirTurnAfterAPartOfASlice) {
  third_.home = &carrier_;
  carrier_.pinned.push(&third_);
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), &other_);
  carrier_.now += base::config().slice / 4;
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), &third_);
  EXPECT_EQ(run_next(), &other_);
}

TEST_F(TurnsTest, WhereManyAreStuckOthersGoFirstEverywhere) {
  carrier_.turns.look = Look::none;
  crew.many_are_stuck = true;
  third_.busy = 0;
  enqueue_last(carrier_, third_);  // to be the next one
  enqueue(carrier_, other_);
  EXPECT_EQ(run_next(), &other_);
  EXPECT_EQ(run_next(), &third_);
  crew.many_are_stuck = false;
}

TEST_F(TurnsTest, CarriersThatAreNotOfTheCrewPutNobodyFirst) {
  carrier_.role = Role::leaving;
  enqueue(carrier_, other_);
  EXPECT_TRUE(crew.express.empty());
  EXPECT_EQ(run_next(), &other_);
}

TEST_F(TurnsTest, BusyOnesDoNotWaitBesidePinnedFibers) {
  enqueue(carrier_, busy_);
  carrier_.pinned.push(&other_);
  carrier_.switches.store(1);  // the turn of those that have no home
  EXPECT_EQ(run_next(), &busy_);
}

TEST_F(TurnsTest, WhoStopsGivesBackWhomItPutOff) {
  enqueue(carrier_, busy_);
  EXPECT_EQ(take_next(carrier_), nullptr);
  give_back_put_off(carrier_);
  EXPECT_EQ(carrier_.turns.put_off, nullptr);
  EXPECT_EQ(carrier_.ready.pop(), &busy_);
}

TEST_F(TurnsTest, LongTurnsMakeBusy) {
  let_run(other_, kMs);
  EXPECT_GT(other_.busy, 0);
  for (int i = 0; i < 16 && other_.busy != 0; ++i) {
    let_run(other_, 0);
  }
  EXPECT_EQ(other_.busy, 0) << "its turns are short now";
}

TEST_F(TurnsTest, LightFibersAreNeverBusy) {
  other_.kind = FiberKind::light;
  let_run(other_, kMs);
  EXPECT_EQ(other_.busy, 0);
}

TEST_F(TurnsTest, OfOtherProcessesAreNotCounted) {
  begin_anew(carrier_, base::now() - 100 * kMs);
  begin_turns(carrier_);  // this one has not used the processor meanwhile
  note_turn(carrier_, other_);
  EXPECT_EQ(other_.busy, 0);
}

TEST_F(TurnsTest, AreMeasuredWhileTheyAreLong) {
  EXPECT_EQ(carrier_.turns.span(), 1U);
  for (int i = 0; i < 100; ++i) {
    let_run(other_, i % 50 == 0 ? kMs : 0);
    EXPECT_EQ(carrier_.turns.look, Look::measures);
  }
  for (int i = 0; i < 100; ++i) {
    let_run(other_, 0);
  }
  EXPECT_EQ(carrier_.turns.look, Look::none);
}

TEST_F(TurnsTest, AreMeasuredWhereSeveralTogetherWereLong) {
  carrier_.turns.look = Look::suspects;
  let_run(other_, kMs);
  EXPECT_EQ(carrier_.turns.look, Look::measures);
  carrier_.turns.look = Look::suspects;
  let_run(other_, 0);
  EXPECT_EQ(carrier_.turns.look, Look::none);
}

}  // namespace
}  // namespace ramie::core

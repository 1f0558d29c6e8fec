#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>
#include <unistd.h>

#include <stdexcept>
#include <string>
#include <thread>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

TEST(Timeout, EndsAWaitByAnError) {
  auto before = Clock::now();
  timeout limit(20ms);
  try {
    sleep_for(1h);
    FAIL() << "nothing was thrown";
  } catch (const timeout_error& error) {
    EXPECT_TRUE(limit.owns(error));
    EXPECT_EQ(error.scope(), limit.id());
  }
  EXPECT_TRUE(limit.has_ended());
  EXPECT_GE(Clock::now() - before, 20ms);
}

TEST(Timeout, EndsEveryKindOfWaitOnFibersAndThreads) {
  int pipe[2];
  ASSERT_EQ(::pipe(pipe), 0);
  auto check = [&] {
    mutex locked;
    locked.lock();
    condition_variable never_notified;
    mutex free;
    counting_semaphore<> none{0};
    event never_set;
    auto limited = [](auto wait) {
      timeout limit(2ms);
      EXPECT_THROW(wait(), timeout_error);
    };
    limited([&] { locked.lock(); });
    limited([&] { (void)locked.try_lock_for(1h); });
    limited([&] {
      std::unique_lock lock(free);
      never_notified.wait(lock, [] { return false; });
    });
    EXPECT_TRUE(free.try_lock());
    limited([&] { none.acquire(); });
    limited([&] { never_set.wait(); });
    limited([&] { (void)io::wait(pipe[0], io::readable); });
    limited([] {
      for (;;) {
        yield();
      }
    });
    fiber<void> other = spawn([&] { never_set.wait(); });
    limited([&] { other.join(); });
    never_set.set();
    other.join();
  };
  spawn(check).get();
  std::thread(check).join();
  io::notify_close(pipe[0]);
  ::close(pipe[0]);
  ::close(pipe[1]);
}

TEST(Timeout, ThrowsOnceAndThenLimitsNothing) {
  timeout limit(1ms);
  EXPECT_THROW(sleep_for(1h), timeout_error);
  sleep_for(2ms);
  EXPECT_TRUE(limit.has_ended());
}

TEST(Timeout, AScopeThatIsLeftInTimeHasNoEffect) {
  {
    timeout limit(5ms);
    sleep_for(1ms);
  }
  sleep_for(10ms);
}

TEST(Timeout, TheOuterScopeEndsTheInnerOnes) {
  timeout outer(5ms);
  try {
    timeout inner(1h);
    sleep_for(2h);
  } catch (const timeout_error& error) {
    EXPECT_TRUE(outer.owns(error));
  }
  EXPECT_TRUE(outer.has_ended());
}

TEST(Timeout, TheInnerScopeLeavesTheOuterOneRunning) {
  timeout outer(30ms);
  try {
    timeout inner(1ms);
    sleep_for(1h);
    ADD_FAILURE();
  } catch (const timeout_error& error) {
    EXPECT_FALSE(outer.owns(error));
  }
  EXPECT_FALSE(outer.has_ended());
  EXPECT_THROW(sleep_for(1h), timeout_error);
  EXPECT_TRUE(outer.has_ended());
}

TEST(Timeout, AWaitsOwnEarlierLimitIsNoError) {
  timeout limit(1h);
  event never_set;
  EXPECT_FALSE(never_set.wait_for(1ms));
  EXPECT_FALSE(limit.has_ended());
}

TEST(Timeout, RestartsAndCancels) {
  timeout limit(1ms);
  limit.cancel();
  sleep_for(3ms);
  limit.restart(1ms);
  EXPECT_THROW(sleep_for(1h), timeout_error);
  EXPECT_TRUE(limit.has_ended());
  limit.restart(1ms);
  EXPECT_FALSE(limit.has_ended());
  EXPECT_THROW(sleep_for(1h), timeout_error);
}

TEST(Timeout, AScopeInThePastThrowsAtTheFirstWait) {
  timeout limit(Clock::now() - 1s);
  mutex free;
  free.lock();  // needs no waiting
  free.unlock();
  EXPECT_THROW(yield(), timeout_error);
}

TEST(Timeout, BelongsToItsFiberAlone) {
  event set_later;
  fiber<void> other = spawn([&] { set_later.wait(); });
  {
    timeout limit(1ms);
    EXPECT_THROW(sleep_for(1h), timeout_error);
  }
  set_later.set();
  other.get();
}

TEST(Timeout, DoesNotEndWaitsWhereThatIsForbidden) {
  timeout limit(1ms);
  {
    this_fiber::cancellation_disabled quiet;
    sleep_for(5ms);
  }
  EXPECT_TRUE(this_fiber::interruption_requested());
  EXPECT_THROW(yield(), timeout_error);
}

TEST(Timeout, NeedsNoOrderOfDestruction) {
  auto first = std::make_unique<timeout>(1h);
  auto second = std::make_unique<timeout>(2ms);
  auto third = std::make_unique<timeout>(1h);
  first.reset();
  EXPECT_THROW(sleep_for(1h), timeout_error);
  second.reset();
  sleep_for(2ms);
}

TEST(WithTimeout, ReturnsTheResultOrTheFallback) {
  EXPECT_EQ(with_timeout(
                1h, [] { return 1; }, 2),
            1);
  auto slow = [] {
    sleep_for(1h);
    return std::string("late");
  };
  EXPECT_EQ(with_timeout(1ms, slow, "fallback"), "fallback");
  EXPECT_EQ(with_timeout(1ms, slow, [] { return "called"; }), "called");
  bool called = false;
  with_timeout(
      1ms, [] { sleep_for(1h); }, [&] { called = true; });
  EXPECT_TRUE(called);
}

TEST(WithTimeout, WithoutFallbackThrows) {
  EXPECT_THROW(with_timeout(1ms, [] { sleep_for(1h); }), timeout_error);
  EXPECT_EQ(with_timeout(1h, [] { return 5; }), 5);
}

TEST(WithTimeout, LetsOtherErrorsThrough) {
  timeout outer(1ms);
  EXPECT_THROW(with_timeout(
                   1h, [] { sleep_for(1h); }, [] { FAIL(); }),
               timeout_error);
  EXPECT_TRUE(outer.has_ended());
  EXPECT_THROW(with_timeout(
                   1h, [] { throw std::logic_error("x"); }, [] { FAIL(); }),
               std::logic_error);
}

}  // namespace
}  // namespace ramie::test

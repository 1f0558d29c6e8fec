#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/signal.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>
#include <ramie/wait.h>
#include <signal.h>
#include <unistd.h>

#include <optional>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(SignalWaiter, GivesOutSignalsWhileOtherFibersRun) {
  signal_waiter signals({SIGUSR1, SIGUSR2});
  int turns = 0;
  fiber<int> waiter = spawn([&] { return signals.wait(); });
  for (; turns < 5; ++turns) {
    yield();
  }
  EXPECT_FALSE(waiter.ready());
  ::kill(::getpid(), SIGUSR2);
  EXPECT_EQ(waiter.get(), SIGUSR2);
  EXPECT_EQ(signals.poll(), std::nullopt);
  ::raise(SIGUSR1);
  EXPECT_EQ(signals.poll(), SIGUSR1);
}

TEST(SignalWaiter, GivesUpAtItsLimitAndByCancel) {
  signal_waiter signals({SIGUSR1});
  EXPECT_EQ(signals.wait_for(2ms), std::nullopt);
  fiber<void> waiter = spawn([&] { (void)signals.wait(); });
  yield();
  waiter.cancel();
  EXPECT_THROW(waiter.get(), cancelled);
  timeout limit(1ms);
  EXPECT_THROW((void)signals.wait(), timeout_error);
}

TEST(SignalWaiter, CanBeWaitedForAmongOthers) {
  signal_waiter signals({SIGUSR1});
  event never_set;
  fiber<void> sender = spawn([] { ::kill(::getpid(), SIGUSR1); });
  EXPECT_EQ(wait_any(never_set, signals), 1U);
  EXPECT_EQ(signals.poll(), SIGUSR1) << "it was not taken";
  sender.join();
}

TEST(SignalWaiter, RestoresTheMask) {
  sigset_t mask;
  {
    signal_waiter signals({SIGUSR1});
    ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
    EXPECT_EQ(sigismember(&mask, SIGUSR1), 1);
  }
  ::pthread_sigmask(SIG_BLOCK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGUSR1), 0);
}

TEST(SignalWaiter, RefusesWhatIsNoSignal) {
  EXPECT_THROW(signal_waiter({12345}), std::system_error);
}

}  // namespace
}  // namespace ramie::test

// What a handle tells and does beside joining: questions, links, stop tokens, delayed start, hooks.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>

#include <atomic>
#include <cerrno>
#include <cstdint>
#include <exception>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

TEST(FiberQuestions, FollowTheLifeOfAFiber) {
  event gate;
  fiber<int> worker = spawn([&] {
    gate.wait();
    return 1;
  });
  EXPECT_FALSE(worker.started());
  yield();
  EXPECT_TRUE(worker.started());
  EXPECT_FALSE(worker.ready());
  EXPECT_FALSE(worker.successful());
  gate.set();
  worker.join();
  EXPECT_TRUE(worker.ready());
  EXPECT_TRUE(worker.successful());
  EXPECT_EQ(worker.exception(), nullptr);
  fiber<int> none;
  EXPECT_FALSE(none.started() || none.ready() || none.successful());
}

TEST(FiberQuestions, AskingForTheExceptionTakesIt) {
  ::testing::internal::CaptureStderr();
  {
    fiber<void> thrower = spawn([] { throw std::runtime_error("asked"); });
    thrower.join();
    EXPECT_TRUE(thrower.ready());
    EXPECT_FALSE(thrower.successful());
    EXPECT_THROW(std::rethrow_exception(thrower.exception()), std::runtime_error);
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

// The stack that was freed last is the next one's, with the control block on it.
TEST(FiberQuestions, AFiberBeginsAnewWhereAnotherOneWas) {
  auto page_of = [](const char& byte) { return reinterpret_cast<std::uintptr_t>(&byte) >> 12; };
  std::uintptr_t page = 0;
  std::unique_ptr<timeout> leftover;
  fiber<void> first = spawn({.name = "first"}, [&] {
    char here = 0;
    page = page_of(here);
    leftover = std::make_unique<timeout>(1h);
    errno = EDOM;
    yield();  // it is cancelled meanwhile, and never asks
    EXPECT_EQ(errno, EDOM);
    leftover->restart(0ns);
  });
  yield();
  first.cancel();
  first.get();
  fiber<void> second = spawn([&] {
    char here = 0;
    EXPECT_EQ(page_of(here), page);
    EXPECT_EQ(errno, 0);
    EXPECT_EQ(this_fiber::name(), "");
    EXPECT_EQ(std::uncaught_exceptions(), 0);
    sleep_for(1ms);  // nobody has cancelled this one, and no scope ends it
    timeout limit(0ns);
    EXPECT_THROW(sleep_for(1h), timeout_error);
  });
  second.get();
}

TEST(FiberQuestions, ParentsAreKnown) {
  fiber<void> parent = spawn([] {
    fiber<void> child = spawn([] { EXPECT_NE(this_fiber::parent(), 0U); });
    EXPECT_EQ(child.parent(), this_fiber::id());
    child.get();
  });
  EXPECT_EQ(parent.parent(), 0U);
  parent.get();
}

TEST(Link, FiresAtTheEndInOrderWithTheOutcome) {
  std::string trace;
  fiber<int> worker = spawn([] { return 42; });
  worker.link([&] { trace += "plain "; });
  worker.link([&](const fiber_outcome<int>& end) {
    EXPECT_TRUE(end.successful());
    EXPECT_EQ(end.id(), worker.id());
    trace += std::to_string(end.value()) + " ";
  });
  worker.link_value([&](int value) { trace += "value " + std::to_string(value) + " "; });
  worker.link_exception([&](const std::exception_ptr&) { trace += "exception "; });
  EXPECT_EQ(trace, "");
  worker.join();
  EXPECT_EQ(trace, "plain 42 value 42 ");
  EXPECT_EQ(worker.get(), 42);
}

TEST(Link, FiresAfterAFailureToo) {
  ::testing::internal::CaptureStderr();
  std::string trace;
  {
    fiber<void> worker = spawn([] { throw std::runtime_error("x"); });
    worker.link_value([&] { trace += "value "; });
    worker.link_exception([&](const std::exception_ptr& error) {
      EXPECT_THROW(std::rethrow_exception(error), std::runtime_error);
      trace += "exception ";
    });
    worker.join();
  }
  EXPECT_EQ(trace, "exception ");
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "") << "the callback has taken it";
}

TEST(Link, AValueCallbackDoesNotTakeTheException) {
  ::testing::internal::CaptureStderr();
  {
    fiber<void> worker = spawn([] { throw std::runtime_error("nobody took me"); });
    worker.link_value([] {});
    worker.join();
  }
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("nobody took me"), std::string::npos);
}

TEST(Link, FiresForADetachedFiber) {
  event done;
  std::shared_ptr<int> held = std::make_shared<int>(3);
  {
    fiber<std::shared_ptr<int>> worker = spawn([held] { return held; });
    worker.link_value([&](const std::shared_ptr<int>& value) {
      EXPECT_EQ(value, held);
      done.set();
    });
  }
  done.wait();
  ASSERT_TRUE(eventually([&] { return held.use_count() == 1; }));
}

TEST(Link, FiresAtOnceWhenTheFiberHasEnded) {
  fiber<int> worker = spawn([] { return 1; });
  worker.join();
  bool fired = false;
  worker.link([&] { fired = true; });
  EXPECT_TRUE(fired);
}

TEST(Link, UnlinkTakesItBack) {
  fiber<void> worker = spawn([] {});
  bool fired = false;
  link taken_back = worker.link([&] { fired = true; });
  link kept = worker.link([] {});
  EXPECT_TRUE(taken_back.unlink());
  EXPECT_FALSE(taken_back.unlink());
  worker.join();
  EXPECT_FALSE(fired);
  EXPECT_FALSE(kept.unlink());
}

TEST(Link, ErrorsOfCallbacksAreReported) {
  ::testing::internal::CaptureStderr();
  fiber<void> worker = spawn({.name = "linked"}, [] {});
  worker.link([] { throw std::runtime_error("in a callback"); });
  worker.join();
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("in a callback"), std::string::npos);
}

TEST(Link, NeedsAFiber) {
  EXPECT_THROW((void)fiber<void>().link([] {}), std::system_error);
}

TEST(Link, WorksFromOtherThreadsAsTheFiberEnds) {
  for (int round = 0; round < 200; ++round) {
    fiber<void> worker = spawn([] { yield(); });
    std::atomic<int> fired = 0;
    std::thread other([&] {
      for (int i = 0; i < 10; ++i) {
        worker.link([&] { ++fired; });
      }
    });
    worker.join();
    other.join();
    ASSERT_EQ(fired, 10);
  }
}

TEST(StopToken, IsGivenToAFunctionThatTakesOne) {
  fiber<int> worker = spawn(
      [](std::stop_token stop, int turns) {  // NOLINT: as std::jthread's
        while (!stop.stop_requested()) {
          ++turns;
          yield();
        }
        return turns;
      },
      0);
  yield();
  yield();
  EXPECT_FALSE(worker.get_stop_source().stop_requested());
  EXPECT_TRUE(worker.request_stop());
  EXPECT_FALSE(worker.request_stop());
  EXPECT_GT(worker.get(), 0);
}

TEST(StopToken, CallbacksEndWaits) {
  event wake;
  fiber<void> worker = spawn([&](const std::stop_token& stop) {
    std::stop_callback callback(stop, [&] { wake.set(); });
    wake.wait();
  });
  yield();
  worker.request_stop();
  worker.get();
}

TEST(StopToken, IsAbsentForOtherFunctions) {
  fiber<void> worker = spawn([] {});
  EXPECT_FALSE(worker.get_stop_source().stop_possible());
  EXPECT_FALSE(worker.request_stop());
  worker.join();
  EXPECT_FALSE(fiber<void>().request_stop());
}

TEST(SpawnAfter, RunsAfterTheDelayAndNotBefore) {
  auto before = Clock::now();
  fiber<int> worker = spawn_after(
      20ms, [](int x) { return x; }, 5);
  yield();
  EXPECT_FALSE(worker.started());
  EXPECT_EQ(worker.get(), 5);
  EXPECT_GE(Clock::now() - before, 20ms);
}

TEST(SpawnAfter, NeverRunsIfCancelledMeanwhile) {
  bool ran = false;
  fiber<void> worker = spawn_after(1h, [&] { ran = true; });
  yield();
  worker.cancel();
  EXPECT_THROW(worker.get(), cancelled);
  EXPECT_FALSE(ran);
  EXPECT_FALSE(worker.started());
}

TEST(KillAll, EndsAllAndWaitsForThem) {
  std::vector<fiber<void>> workers;
  int ended = 0;
  for (int i = 0; i < 5; ++i) {
    workers.push_back(spawn([&] {
      struct Guard {
        int& count;
        ~Guard() {
          sleep_for(1ms);
          ++count;
        }
      } guard{ended};
      sleep_for(1h);
    }));
  }
  workers.emplace_back();
  yield();
  kill_all(workers);
  EXPECT_EQ(ended, 5);
}

TEST(KillAllFor, TellsWhetherAllHaveEnded) {
  event may_end;
  std::vector<fiber<void>> workers;
  workers.push_back(spawn([&] { may_end.wait(); }));
  workers.push_back(spawn([&] {
    this_fiber::cancellation_disabled insists;
    may_end.wait();
  }));
  yield();
  EXPECT_FALSE(kill_all_for(2ms, workers));
  EXPECT_TRUE(workers[0].ready());
  EXPECT_FALSE(workers[1].ready());
  may_end.set();
  EXPECT_TRUE(kill_all_for(1min, workers));
}

spawn_site last_site;

TEST(SpawnSite, IsToldByTheHandleTheFiberAndTheHooks) {
  set_spawn_hook([](const fiber_info& fiber) noexcept { last_site = fiber.site; });
  set_exit_hook([](const fiber_info& fiber) noexcept { last_site.line += fiber.site.line; });
  const unsigned line = __LINE__ + 1;
  fiber<unsigned> one = spawn({.name = "sited", .site = spawn_site::here()}, [] {
    EXPECT_EQ(std::string_view(this_fiber::site().file), __FILE__);
    return this_fiber::site().line;
  });
  EXPECT_EQ(last_site.line, line);
  EXPECT_EQ(std::string_view(last_site.function), "TestBody");
  EXPECT_EQ(one.site().line, line);
  EXPECT_EQ(one.get(), line);
  EXPECT_EQ(last_site.line, 2 * line);
  set_spawn_hook(nullptr);
  set_exit_hook(nullptr);
  fiber<void> other = spawn([] { EXPECT_EQ(this_fiber::site().line, 0U); });
  EXPECT_EQ(other.site().line, 0U);
  other.get();
  EXPECT_EQ(fiber<void>().site().line, 0U);
  EXPECT_EQ(this_fiber::site().line, 0U);
}

std::atomic<int> born = 0;
std::atomic<int> gone = 0;
std::atomic<std::uint64_t> last_parent = 0;

TEST(Hooks, SeeBirthAndEndOfEveryFiber) {
  fiber_hook before = set_spawn_hook([](const fiber_info& fiber) noexcept {
    EXPECT_EQ(fiber.name, "hooked");
    last_parent = fiber.parent;
    ++born;
  });
  EXPECT_EQ(before, nullptr);
  set_exit_hook([](const fiber_info& fiber) noexcept {
    EXPECT_EQ(fiber.id, this_fiber::id());
    ++gone;
  });
  fiber<void> outer = spawn({.name = "hooked"}, [] {
    fiber<void> inner = spawn({.name = "hooked"}, [] { throw 1; });
    EXPECT_EQ(born, 2);
    EXPECT_EQ(last_parent, this_fiber::id());
    EXPECT_THROW(inner.get(), int);
  });
  outer.get();
  EXPECT_EQ(gone, 2);
  EXPECT_NE(set_spawn_hook(nullptr), nullptr);
  set_exit_hook(nullptr);
}

}  // namespace
}  // namespace ramie::test

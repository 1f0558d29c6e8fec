#include <ramie/future.h>
#include <ramie/wait.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Crew>
class Future : public ::testing::Test {
 protected:
  Crew crew;
};
TYPED_TEST_SUITE(Future, Crews);

template <class F>
std::error_code error_of(F f) {
  try {
    f();
  } catch (const std::future_error& error) {
    return error.code();
  }
  return {};
}

TYPED_TEST(Future, BringsAValueToWhoeverWaits) {
  promise<std::string> promised;
  future<std::string> coming = promised.get_future();
  std::atomic<bool> got = false;
  this->crew.start([&] {
    EXPECT_EQ(coming.get(), "hello");
    EXPECT_FALSE(coming.valid());
    got = true;
  });
  yield();
  EXPECT_FALSE(got);
  promised.set_value("hello");
  this->crew.join();
  EXPECT_TRUE(got);
}

TYPED_TEST(Future, BringsAnExceptionToo) {
  promise<int> promised;
  future<int> coming = promised.get_future();
  this->crew.start(
      [&] { promised.set_exception(std::make_exception_ptr(std::runtime_error("no"))); });
  EXPECT_THROW(coming.get(), std::runtime_error);
  this->crew.join();
}

TYPED_TEST(Future, APromiseThatIsDroppedIsBroken) {
  auto promised = std::make_unique<promise<void>>();
  future<void> coming = promised->get_future();
  this->crew.start([&] { promised.reset(); });
  coming.wait();
  // Who drops the exception last destroys it, ordered by counts that the thread sanitizer can't
  // see.
  this->crew.join();
  EXPECT_EQ(error_of([&] { coming.get(); }), std::future_errc::broken_promise);
}

TYPED_TEST(Future, TimedWaitsEndAtTheirTime) {
  promise<int> promised;
  future<int> coming = promised.get_future();
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_EQ(coming.wait_for(10ms), std::future_status::timeout);
    EXPECT_EQ(coming.wait_until(before), std::future_status::timeout);
    EXPECT_GE(std::chrono::steady_clock::now() - before, 10ms);
    EXPECT_FALSE(coming.ready());
    promised.set_value(1);
    EXPECT_EQ(coming.wait_for(0ms), std::future_status::ready);
    EXPECT_TRUE(coming.ready());
  });
  this->crew.join();
  EXPECT_EQ(coming.get(), 1);
}

TYPED_TEST(Future, ASharedOneIsForMany) {
  promise<std::vector<int>> promised;
  shared_future<std::vector<int>> shared = promised.get_future().share();
  std::atomic<int> seen = 0;
  for (int i = 0; i < 4; ++i) {
    this->crew.start([&, mine = shared] {
      const std::vector<int>& value = mine.get();
      EXPECT_EQ(value.size(), 3U);
      EXPECT_EQ(&value, &mine.get());
      ++seen;
    });
  }
  promised.set_value({1, 2, 3});
  this->crew.join();
  EXPECT_EQ(seen, 4);
}

TYPED_TEST(Future, CallbacksRunOnceInTheirOrder) {
  promise<int> promised;
  shared_future<int> shared = promised.get_future();
  std::vector<int> calls;
  shared.when_ready([&] { calls.push_back(1); });
  shared.when_ready([&] { calls.push_back(shared.get()); });
  EXPECT_TRUE(calls.empty());
  this->crew.start([&] { promised.set_value(2); });
  this->crew.join();
  shared.when_ready([&] { calls.push_back(3); });
  EXPECT_EQ(calls, (std::vector{1, 2, 3}));
}

// The waiter may destroy the promise while the setter is still at it.
TYPED_TEST(Future, APromiseMayGoAsSoonAsItsValueIsSeen) {
  for (int i = 0; i < 100; ++i) {
    auto promised = std::make_unique<promise<int>>();
    future<int> coming = promised->get_future();
    promise<int>* kept = promised.get();
    this->crew.start([kept] { kept->set_value(1); });
    EXPECT_EQ(coming.get(), 1);
    promised.reset();
    this->crew.join();
  }
}

TYPED_TEST(Future, AsyncRunsAFiber) {
  future<int> answer =
      async([](int a, std::unique_ptr<int> b) { return a + *b; }, 40, std::make_unique<int>(2));
  std::atomic<bool> done = false;
  this->crew.start([&] {
    EXPECT_EQ(answer.get(), 42);
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  this->crew.join();
  future<void> fails = async([] { throw std::runtime_error("no"); });
  EXPECT_THROW(fails.get(), std::runtime_error);
  (void)async([] {});  // nobody waits
  EXPECT_EQ(to_future(spawn([] { return 7; })).get(), 7);
}

TEST(Futures, AreWaitedForWithOtherThings) {
  promise<int> promised;
  future<int> coming = promised.get_future();
  event never_set;
  fiber<void> bringer = spawn([&] { promised.set_value(3); });
  EXPECT_EQ(wait_any(never_set, coming), 1U);
  wait_all(coming, bringer);
  EXPECT_EQ(coming.get(), 3);
}

TEST(Futures, HaveTheErrorsOfTheStandard) {
  promise<int> promised;
  future<int> coming = promised.get_future();
  EXPECT_EQ(error_of([&] { (void)promised.get_future(); }),
            std::future_errc::future_already_retrieved);
  promised.set_value(1);
  EXPECT_EQ(error_of([&] { promised.set_value(2); }), std::future_errc::promise_already_satisfied);
  EXPECT_EQ(error_of([&] { promised.set_exception(nullptr); }),
            std::future_errc::promise_already_satisfied);
  EXPECT_EQ(coming.get(), 1);
  EXPECT_EQ(error_of([&] { coming.get(); }), std::future_errc::no_state);
  EXPECT_EQ(error_of([&] { coming.wait(); }), std::future_errc::no_state);
  promise<int> moved = std::move(promised);
  EXPECT_EQ(error_of([&] { promised.set_value(1); }), std::future_errc::no_state);
}

TEST(Futures, CarryReferencesAndWhatOnlyMoves) {
  int object = 1;
  promise<int&> reference;
  future<int&> coming = reference.get_future();
  reference.set_value(object);
  EXPECT_EQ(&coming.get(), &object);
  promise<std::unique_ptr<int>> pointer;
  pointer.set_value(std::make_unique<int>(5));
  EXPECT_EQ(*pointer.get_future().get(), 5);
}

TEST(Futures, AValueThatCantBeCopiedLeavesThePromiseOpen) {
  struct Thrower {
    Thrower() = default;
    Thrower(const Thrower&) { throw std::runtime_error("no copy"); }
  };
  promise<Thrower> promised;
  Thrower thrower;
  EXPECT_THROW(promised.set_value(thrower), std::runtime_error);
  promised.set_exception(std::make_exception_ptr(1));
  EXPECT_THROW((void)promised.get_future().get(), int);
}

TEST(PackagedTask, PutsItsResultIntoTheFuture) {
  packaged_task<int(int)> task([](int x) {
    if (x < 0) {
      throw std::invalid_argument("negative");
    }
    return x * x;
  });
  future<int> square = task.get_future();
  spawn([&] { task(7); }).get();
  EXPECT_EQ(square.get(), 49);
  EXPECT_EQ(error_of([&] { task(7); }), std::future_errc::promise_already_satisfied);
  task.reset();
  square = task.get_future();
  task(-1);
  EXPECT_THROW(square.get(), std::invalid_argument);
  EXPECT_EQ(error_of([] { packaged_task<void()>()(); }), std::future_errc::no_state);
}

}  // namespace
}  // namespace ramie::test

#include <ramie/coroutine.h>

#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

task<int> add(int a, int b) { co_return a + b; }

task<int> sum_to(int n) {
  int sum = 0;
  for (int i = 1; i <= n; ++i) {
    sum = co_await add(sum, i);
  }
  co_return sum;
}

task<> fail() {
  co_await after(1ms);
  throw std::runtime_error("from the task");
}

task<std::string> all_kinds(channel<int>& numbers, future<int> coming) {
  auto before = std::chrono::steady_clock::now();
  co_await after(5ms);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 5ms);
  int from_fiber = co_await spawn([] {
    yield();
    return 1;
  });
  int from_future = co_await std::move(coming);
  std::optional<int> from_channel = co_await next_of(numbers);
  yield();  // it runs on a fiber, and may wait like one
  bool failed = false;
  try {
    co_await fail();
  } catch (const std::runtime_error&) {
    failed = true;
  }
  co_return std::to_string(from_fiber) + std::to_string(from_future) +
      std::to_string(from_channel.value_or(0)) + (failed ? "!" : "?");
}

// Whoever waits: a fiber, or a thread that has none.
template <class Crew>
class Coroutine : public ::testing::Test {
 protected:
  Crew crew;
};
TYPED_TEST_SUITE(Coroutine, Kinds);

TYPED_TEST(Coroutine, ReturnsWhatItComputes) {
  this->crew.start([] {
    EXPECT_EQ(sync_wait(add(1, 2)), 3);
    EXPECT_EQ(sum_to(20).get(), 210);
  });
  this->crew.join();
}

TYPED_TEST(Coroutine, AwaitsFibersFuturesTimesAndChannels) {
  this->crew.start([] {
    channel<int> numbers;
    promise<int> promised;
    fiber<void> partner = spawn([&] {
      promised.set_value(2);
      numbers.send(3);
    });
    EXPECT_EQ(all_kinds(numbers, promised.get_future()).get(), "123!");
    partner.join();
  });
  this->crew.join();
}

TYPED_TEST(Coroutine, ThrowsToWhoeverWaits) {
  this->crew.start([] { EXPECT_THROW(fail().get(), std::runtime_error); });
  this->crew.join();
}

TEST(Coroutines, ManyRunAtOnce) {
  std::vector<fiber<int>> waiting;
  for (int i = 0; i < 50; ++i) {
    waiting.push_back(spawn([i] {
      auto one = [](int number) -> task<int> {
        co_await after(1ms);
        co_return number + co_await add(number, 0);
      };
      return one(i).get();
    }));
  }
  for (int i = 0; i < 50; ++i) {
    EXPECT_EQ(waiting[static_cast<std::size_t>(i)].get(), 2 * i);
  }
}

TEST(Coroutines, OneThatNobodyAsksForNeverBegins) {
  auto alive = std::make_shared<int>();
  {
    auto never = [](std::shared_ptr<int> kept) -> task<> {
      ADD_FAILURE();
      kept.reset();
      co_return;
    };
    task<> dropped = never(alive);
    EXPECT_EQ(alive.use_count(), 2);
  }
  EXPECT_EQ(alive.use_count(), 1);
}

}  // namespace
}  // namespace ramie::test

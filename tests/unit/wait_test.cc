#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>
#include <ramie/wait.h>

#include <array>
#include <atomic>
#include <functional>
#include <memory>
#include <numeric>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;
using Indices = std::vector<std::size_t>;

// A waitable of the kind that calls back, as futures are.
class Callback {
 public:
  void when_ready(std::function<void()> f) const {
    if (is_ready_) {
      f();
    } else {
      waiting_.push_back(std::move(f));
    }
  }
  void fire() {
    is_ready_ = true;
    for (auto& f : std::exchange(waiting_, {})) {
      f();
    }
  }

 private:
  bool is_ready_ = false;
  mutable std::vector<std::function<void()>> waiting_;
};

TEST(WaitAny, TellsWhichOneIsReady) {
  event a;
  event b;
  fiber<void> setter = spawn([&] { b.set(); });
  EXPECT_EQ(wait_any(a, b), 1U);
  setter.join();
  a.set();
  EXPECT_EQ(wait_any(a, b), 0U) << "of several that are ready, the first";
}

TEST(WaitAny, MixesKinds) {
  event never_set;
  Callback callback;
  fiber<int> worker = spawn([&] {
    callback.fire();
    yield();
    return 1;
  });
  EXPECT_EQ(wait_any(never_set, worker, callback), 2U);
  EXPECT_EQ(wait_any(never_set, callback), 1U);
  EXPECT_EQ(wait_any(never_set, worker), 1U);
  EXPECT_EQ(worker.get(), 1);
}

TEST(WaitAny, GivesUpAtItsLimit) {
  event a;
  fiber<void> worker = spawn([&] { a.wait(); });
  EXPECT_EQ(wait_any_for(2ms, a, worker), std::nullopt);
  std::array<event*, 2> pointers{&a, &a};
  EXPECT_EQ(wait_any_for(2ms, pointers), std::nullopt);
  a.set();
  EXPECT_EQ(wait_any_for(1h, a, worker), 0U);
}

TEST(WaitAll, WaitsForEveryOne) {
  std::vector<fiber<void>> workers;
  int ended = 0;
  for (int i = 0; i < 20; ++i) {
    workers.push_back(spawn([&, i] {
      for (int k = 0; k < i % 5; ++k) {
        yield();
      }
      ++ended;
    }));
  }
  wait_all(workers);
  EXPECT_EQ(ended, 20);
  wait_all(workers);
  EXPECT_TRUE(wait_all_for(0ms, workers));
  wait_all(std::vector<fiber<void>>{});
}

TEST(WaitAll, GivesUpAtItsLimit) {
  event set;
  event not_set;
  set.set();
  EXPECT_FALSE(wait_all_for(2ms, set, not_set));
  not_set.set();
  EXPECT_TRUE(wait_all_for(2ms, set, not_set));
}

TEST(WaitN, ReturnsTheFirstOnesInTheirOrder) {
  std::array<event, 4> events;
  fiber<void> setter = spawn([&] {
    for (std::size_t i : {2U, 0U, 3U}) {
      events[i].set();
      yield();
    }
  });
  EXPECT_EQ(wait_n(2, events), (Indices{2, 0}));
  setter.join();
  EXPECT_EQ(wait_n_for(2ms, 9, events), (Indices{0, 2, 3}));
  EXPECT_EQ(wait_n(0, events), Indices{});
}

TEST(AsCompleted, YieldsElementsAsTheyEnd) {
  std::vector<fiber<int>> workers;
  std::array<event, 3> gates;
  for (int i = 0; i < 3; ++i) {
    workers.push_back(spawn([&, i] {
      gates[static_cast<std::size_t>(i)].wait();
      if (i > 0) {
        gates[static_cast<std::size_t>(i - 1)].set();
      }
      return i;
    }));
  }
  gates[2].set();
  std::vector<int> order;
  for (fiber<int>& one : as_completed(workers)) {
    order.push_back(one.get());
  }
  EXPECT_EQ(order, (std::vector{2, 1, 0}));
}

TEST(AsCompleted, EndsAtItsLimit) {
  std::array<event, 3> events;
  events[1].set();
  int seen = 0;
  for (event& one : as_completed(events, 3ms)) {
    EXPECT_EQ(&one, &events[1]);
    ++seen;
  }
  EXPECT_EQ(seen, 1);
}

TEST(AsCompleted, HandlesManyFibers) {
  std::vector<fiber<int>> workers;
  for (int i = 0; i < 2000; ++i) {
    workers.push_back(spawn([i] {
      if (i % 3 == 0) {
        yield();
      }
      return i;
    }));
  }
  int sum = 0;
  for (fiber<int>& one : as_completed(workers)) {
    sum += one.get();
  }
  EXPECT_EQ(sum, 1999 * 1000);
}

TEST(Wait, EndsByCancelAndByATimeoutScope) {
  event a;
  event b;
  fiber<void> waiter = spawn([&] { (void)wait_any(a, b); });
  yield();
  waiter.cancel();
  EXPECT_THROW(waiter.get(), cancelled);
  timeout limit(1ms);
  EXPECT_THROW(wait_all(a, b), timeout_error);
}

TEST(Wait, LeavesNothingBehind) {
  event a;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_EQ(wait_any_for(0ms, a), std::nullopt);
  }
  EXPECT_EQ(parked_on(&a), 0U);
  a.set();
}

TEST(Wait, WorksOnKernelThreadsAndAcrossThem) {
  std::array<event, 3> events;
  std::atomic<std::size_t> found = 99;
  std::thread waiter([&] {
    found = wait_any(events);
    wait_all(events);
  });
  events[1].set();
  while (found == 99) {
    std::this_thread::yield();
  }
  EXPECT_EQ(found, 1U);
  fiber<void> setter = spawn([&] {
    events[0].set();
    events[2].set();
  });
  setter.get();
  waiter.join();
}

// Wake-ups race with the end of the wait.
TEST(Wait, RacesWithSettersOnOtherThreads) {
  for (int round = 0; round < 300; ++round) {
    auto events = std::make_unique<std::array<event, 3>>();
    std::thread setter([&] {
      (*events)[0].set();
      (*events)[2].set();
    });
    fiber<std::size_t> any = spawn([&] { return wait_any(*events); });
    Indices two = wait_n(2, *events);
    EXPECT_EQ(std::accumulate(two.begin(), two.end(), std::size_t{0}), 2U);
    EXPECT_NE(any.get(), 1U);
    setter.join();
  }
}

}  // namespace
}  // namespace ramie::test

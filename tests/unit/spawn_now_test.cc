#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <cerrno>
#include <stdexcept>
#include <string>
#include <thread>

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(SpawnNow, RunsBeforeItReturns) {
  std::string trace;
  fiber<int> child = spawn_now([&] {
    trace += "child ";
    return 7;
  });
  trace += "spawner";
  EXPECT_TRUE(child.ready());
  EXPECT_EQ(child.get(), 7);
  EXPECT_EQ(trace, "child spawner");
}

TEST(SpawnNow, SpawnerGoesOnWhenTheFiberWaits) {
  std::string trace;
  event go;
  fiber<void> other = spawn([&] { trace += "other "; });
  fiber<void> child = spawn_now([&] {
    trace += "child ";
    go.wait();
    trace += "again ";
  });
  EXPECT_FALSE(child.ready());
  trace += "spawner ";  // before the other, which was ready first
  go.set();
  child.join();  // woken by who waits now: its turn is the next one
  other.join();
  EXPECT_EQ(trace, "child spawner again other ");
}

TEST(SpawnNow, SpawnerIsAheadOfOthersWhenTheFiberYields) {
  std::string trace;
  fiber<void> other = spawn([&] { trace += "other "; });
  fiber<void> child = spawn_now([&] {
    yield();
    trace += "child ";
  });
  trace += "spawner ";
  child.join();
  other.join();
  EXPECT_EQ(trace, "spawner other child ");
}

TEST(SpawnNow, PassesExceptionsAndErrno) {
  errno = 5;
  fiber<void> child = spawn_now([] {
    errno = 6;
    throw std::runtime_error("thrown");
  });
  EXPECT_EQ(errno, 5);
  EXPECT_THROW(child.get(), std::runtime_error);
  try {
    throw 1;
  } catch (int) {
    EXPECT_EQ(spawn_now([] { return std::uncaught_exceptions(); }).get(), 0);
    EXPECT_NE(std::current_exception(), nullptr);
  }
}

TEST(SpawnNow, TakesAttributesAndArguments) {
  auto told = [](std::stop_token stop, int number) {
    return std::string(this_fiber::name()) + std::to_string(number) +
           (stop.stop_possible() ? "" : "?");
  };
  EXPECT_EQ(spawn_now({.name = "worker"}, told, 3).get(), "worker3");
}

// The numbers of the leaves, added up by a tree of fibers.
struct Tree {
  long add_up(long first, long leaves) {
    if (leaves == 1) {
      return first;
    }
    constexpr int kChildren = 10;
    std::array<fiber<long>, kChildren> children;
    long each = leaves / kChildren;
    for (int i = 0; i < kChildren; ++i) {
      children[i] = spawn_now([this, begin = first + i * each, each] {
        most = std::max(most, ++now);
        long sum = add_up(begin, each);
        if (yields && begin % 7 == 0) {
          yield();
        }
        --now;
        return sum;
      });
    }
    long sum = 0;
    for (fiber<long>& child : children) {
      sum += child.get();
    }
    return sum;
  }
  bool yields = false;
  int now = 0;
  int most = 0;
};

TEST(SpawnNow, TreeHasAsManyAtATimeAsItIsDeep) {
  Tree tree;
  EXPECT_EQ(tree.add_up(0, 1'000), 499'500);
  EXPECT_EQ(tree.now, 0);
  EXPECT_EQ(tree.most, 3);
}

TEST(SpawnNow, TreeWhoseFibersWaitIsWhole) {
  Tree tree;
  tree.yields = true;  // at most 1,111 of them at a time, which the thread sanitizer can follow
  EXPECT_EQ(tree.add_up(0, 1'000), 499'500);
  EXPECT_EQ(tree.now, 0);
}

TEST(SpawnNow, LetsTimersAndOtherThreadsIn) {
  std::atomic<bool> stop = false;
  fiber<void> timer = spawn([&] {
    sleep_for(5ms);
    stop = true;
  });
  event from_outside;
  std::thread outside([&] { from_outside.set(); });
  fiber<void> waiter = spawn([&] { from_outside.wait(); });
  while (!stop || !waiter.ready()) {
    fiber<void> child = spawn_now([] {});
    child.join();
    yield();
  }
  timer.join();
  outside.join();
}

TEST(SpawnNow, EachKernelThreadHasItsOwnTree) {
  std::array<std::thread, 4> threads;
  for (std::thread& thread : threads) {
    thread = std::thread([] {
      Tree tree;
      tree.yields = true;
      EXPECT_EQ(tree.add_up(0, 1'000), 499'500);
    });
  }
  for (std::thread& thread : threads) {
    thread.join();
  }
}

TEST(SpawnNow, ManyInALoopReuseOneStack) {
  long sum = 0;
  for (int i = 0; i < 2'000; ++i) {
    sum += spawn_now([i] { return i; }).get();
  }
  EXPECT_EQ(sum, 1'999'000);
}

}  // namespace
}  // namespace ramie::test

#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/offload.h>
#include <ramie/timeout.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(Offload, RunsElsewhereWhileOtherFibersRun) {
  std::atomic<bool> may_end = false;
  int turns = 0;
  fiber<std::thread::id> waiter = spawn([&] {
    return offload([&] {
      while (!may_end) {
        std::this_thread::yield();
      }
      return std::this_thread::get_id();
    });
  });
  fiber<void> other = spawn([&] {
    for (; turns < 10; ++turns) {
      yield();
    }
    may_end = true;
  });
  EXPECT_NE(waiter.get(), std::this_thread::get_id());
  EXPECT_EQ(turns, 10);
}

TEST(Offload, ReturnsValuesReferencesAndExceptions) {
  EXPECT_EQ(*offload([] { return std::make_unique<int>(4); }), 4);
  int object = 0;
  EXPECT_EQ(&offload([&]() -> int& { return object; }), &object);
  offload([&] { object = 3; });
  EXPECT_EQ(object, 3);
  EXPECT_THROW(offload([] { throw std::runtime_error("there"); }), std::runtime_error);
}

TEST(Offload, WorksFromAKernelThreadWithoutFibers) {
  std::thread([] { EXPECT_EQ(offload([] { return 1; }), 1); }).join();
}

TEST(Offload, NeitherCancelNorATimeOutCutsTheCallShort) {
  std::atomic<bool> may_end = false;
  std::atomic<bool> runs = false;
  bool returned = false;
  fiber<void> worker = spawn([&] {
    timeout limit(1ms);
    offload([&] {
      runs = true;
      while (!may_end) {
        std::this_thread::yield();
      }
    });
    returned = true;
    sleep_for(1h);
  });
  ASSERT_TRUE(eventually([&] { return runs.load(); }));
  worker.cancel();
  EXPECT_FALSE(worker.join_for(5ms));
  may_end = true;
  EXPECT_THROW(worker.get(), cancelled);
  EXPECT_TRUE(returned);
}

TEST(OffloadPool, GrowsToItsLimitAndQueuesTheRest) {
  offload_pool two(2);
  EXPECT_EQ(two.threads(), 0U);
  std::atomic<int> running = 0;
  std::atomic<int> most = 0;
  std::atomic<int> ran = 0;
  std::vector<fiber<void>> callers;
  for (int i = 0; i < 20; ++i) {
    callers.push_back(spawn([&] {
      two.run([&] {
        int now = ++running;
        int seen = most;
        while (seen < now && !most.compare_exchange_weak(seen, now)) {
        }
        std::this_thread::yield();
        --running;
        ++ran;
      });
    }));
  }
  for (auto& one : callers) {
    one.get();
  }
  EXPECT_EQ(ran, 20);
  EXPECT_LE(most, 2);
  EXPECT_LE(two.threads(), 2U);
}

TEST(OffloadPool, IdleThreadsEnd) {
  offload_pool brief(4, 1ms);
  brief.run([] {});
  ASSERT_TRUE(eventually([&] { return brief.threads() == 0; }));
  EXPECT_EQ(brief.run([] { return 2; }), 2);
}

TEST(Offload, WorksInAForkedChild) {
  offload([] {});
  pid_t child = ::fork();
  if (child == 0) {
    ::_exit(offload([] { return 7; }));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(WEXITSTATUS(status), 7);
}

}  // namespace
}  // namespace ramie::test

#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/resource_pool.h>

#include <atomic>
#include <stdexcept>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

std::atomic<int> made = 0;
std::atomic<int> alive = 0;

struct Connection {
  Connection() : number(++made) { ++alive; }
  Connection(Connection&& other) noexcept : number(other.number) { ++alive; }
  ~Connection() { --alive; }
  int number;
};

class ResourcePool : public ::testing::Test {
 protected:
  void SetUp() override { made = 0; }
  void TearDown() override { EXPECT_EQ(alive, 0); }
};

TEST_F(ResourcePool, HandsOutTheLastUsedOneAgain) {
  resource_pool<Connection> pool([] { return Connection(); });
  {
    auto first = pool.acquire();
    auto second = pool.acquire();
    EXPECT_NE(first->number, second->number);
    EXPECT_EQ(pool.size(), 2U);
    EXPECT_EQ(pool.idle(), 0U);
    first.give_back();
    EXPECT_FALSE(first);
  }
  EXPECT_EQ(pool.idle(), 2U);
  EXPECT_EQ(pool.acquire()->number, 2);
  EXPECT_EQ(made, 2);
}

TEST_F(ResourcePool, WaitsWhenAllAreInUse) {
  resource_pool<Connection> pool([] { return Connection(); }, {.max = 2});
  int most = 0;
  int in_use = 0;
  std::vector<fiber<void>> users;
  for (int i = 0; i < 10; ++i) {
    users.push_back(spawn([&] {
      auto one = pool.acquire();
      most = std::max(most, ++in_use);
      yield();
      --in_use;
    }));
  }
  for (auto& user : users) {
    user.get();
  }
  EXPECT_EQ(most, 2);
  EXPECT_EQ(made, 2);
}

TEST_F(ResourcePool, LimitsTheWait) {
  resource_pool<Connection> pool([] { return Connection(); }, {.max = 1});
  auto only = pool.acquire();
  EXPECT_FALSE(pool.try_acquire());
  EXPECT_FALSE(pool.acquire_for(2ms));
  only.give_back();
  EXPECT_TRUE(pool.try_acquire());
}

TEST_F(ResourcePool, DiscardedOnesAreReplaced) {
  resource_pool<Connection> pool([] { return Connection(); }, {.max = 1});
  auto broken = pool.acquire();
  broken.discard();
  EXPECT_EQ(pool.size(), 0U);
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(ResourcePool, AsksWhetherAnIdleOneIsUsable) {
  resource_pool<Connection> pool([] { return Connection(); }, {},
                                 [](Connection& one) { return one.number != 1; });
  pool.acquire().give_back();
  EXPECT_EQ(pool.acquire()->number, 2);
  EXPECT_EQ(pool.size(), 1U);
}

TEST_F(ResourcePool, OneWhoseCheckThrowsIsForgotten) {
  bool fails = false;
  resource_pool<Connection> pool([] { return Connection(); }, {.max = 1},
                                 [&](Connection&) {
                                   if (fails) {
                                     throw std::runtime_error("refused");
                                   }
                                   return true;
                                 });
  pool.acquire().give_back();
  fails = true;
  EXPECT_THROW((void)pool.acquire(), std::runtime_error);
  EXPECT_EQ(alive, 0);
  EXPECT_EQ(pool.size(), 0U);
  EXPECT_EQ(pool.acquire()->number, 2);
}

TEST_F(ResourcePool, AFailureToMakeOneFreesThePlace) {
  bool fails = true;
  resource_pool<Connection> pool(
      [&] {
        if (fails) {
          throw std::runtime_error("refused");
        }
        return Connection();
      },
      {.max = 1});
  EXPECT_THROW((void)pool.acquire(), std::runtime_error);
  EXPECT_EQ(pool.size(), 0U);
  fails = false;
  EXPECT_TRUE(pool.try_acquire());
}

TEST_F(ResourcePool, OldAndIdleOnesAreNotHandedOutAgain) {
  resource_pool<Connection> brief([] { return Connection(); }, {.max_idle = 1ms});
  brief.acquire().give_back();
  sleep_for(5ms);
  EXPECT_EQ(brief.acquire()->number, 2);

  resource_pool<Connection> young([] { return Connection(); }, {.max_age = 1ms});
  auto one = young.acquire();
  sleep_for(5ms);
  one.give_back();
  EXPECT_EQ(young.size(), 0U);
}

TEST_F(ResourcePool, TrimKeepsTheLeastNumber) {
  resource_pool<Connection> pool([] { return Connection(); }, {.min = 2, .max_idle = 1ms});
  pool.trim();
  EXPECT_EQ(pool.idle(), 2U);
  {
    std::vector<resource_pool<Connection>::lease> all;
    for (int i = 0; i < 4; ++i) {
      all.push_back(pool.acquire());
    }
  }
  EXPECT_EQ(pool.idle(), 4U);
  sleep_for(5ms);
  pool.trim();
  EXPECT_EQ(pool.idle(), 2U);
}

TEST_F(ResourcePool, CancellingAWaiterLosesNothing) {
  resource_pool<Connection> pool([] { return Connection(); }, {.max = 1});
  auto only = pool.acquire();
  fiber<void> waiter = spawn([&] { (void)pool.acquire(); });
  yield();
  waiter.cancel();
  EXPECT_THROW(waiter.get(), cancelled);
  only.give_back();
  EXPECT_TRUE(pool.try_acquire());
}

TEST_F(ResourcePool, ServesSeveralThreads) {
  resource_pool<Connection> pool([] { return Connection(); }, {.max = 3});
  std::atomic<int> in_use = 0;
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&] {
      for (int i = 0; i < 200; ++i) {
        auto one = pool.acquire();
        EXPECT_LE(++in_use, 3);
        --in_use;
      }
    });
  }
  for (auto& one : threads) {
    one.join();
  }
  EXPECT_LE(made, 3);
}

}  // namespace
}  // namespace ramie::test

// Fibers on several carriers: trees that spread, locks and channels between them, ends and
// cancellations at any moment, spawned by fibers and by plain threads.
#include <gtest/gtest.h>
#include <ramie/background.h>
#include <ramie/cancel.h>
#include <ramie/carriers.h>
#include <ramie/channel.h>
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>

#include <atomic>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

constexpr unsigned kCarriers = 3;
constexpr int kRounds = 40;

class CarriersStress : public testing::Test {
 protected:
  CarriersStress() { EXPECT_EQ(use_carriers(kCarriers), kCarriers); }
};

// The first one: the kernel threads are still on their way.
TEST_F(CarriersStress, JoinAllMayComeBeforeTheCarriers) {
  std::atomic<bool> ran = false;
  spawn([&ran] { ran = true; }).detach();
  join_all();
  EXPECT_TRUE(ran);
}

long count_leaves(int depth, unsigned seed) {
  if (depth == 0) {
    return 1;
  }
  std::minstd_rand random(seed);
  std::vector<fiber<long>> parts;
  for (unsigned i = 0; i < 4; ++i) {
    unsigned next = random();
    switch (random() % 4) {
      case 0:
        parts.push_back(spawn_now(count_leaves, depth - 1, next));
        break;
      case 1:
        parts.push_back(spawn({.stays = true}, count_leaves, depth - 1, next));
        break;
      default:
        parts.push_back(spawn(count_leaves, depth - 1, next));
    }
    if (random() % 8 == 0) {
      sleep_for(std::chrono::microseconds(random() % 50));
    }
  }
  long sum = 0;
  for (fiber<long>& part : parts) {
    sum += part.get();
  }
  return sum;
}

TEST_F(CarriersStress, TreesFromFibersAndThreads) {
  for (unsigned round = 0; round < kRounds / 10; ++round) {
    std::atomic<long> sum = 0;
    std::vector<std::thread> threads;
    for (unsigned i = 0; i < 2; ++i) {
      threads.emplace_back([&sum, round, i] { sum += count_leaves(4, round * 2 + i + 1); });
    }
    sum += count_leaves(4, round + 100);
    for (std::thread& one : threads) {
      one.join();
    }
    ASSERT_EQ(sum, 3 * 256);
  }
}

TEST_F(CarriersStress, CancelledAtAnyMoment) {
  std::minstd_rand random(7);
  mutex lock;
  condition_variable changed;
  channel<int> full(1);
  full.send(0);
  std::atomic<int> inside = 0;
  for (int round = 0; round < kRounds; ++round) {
    std::vector<fiber<void>> fibers;
    for (unsigned i = 0; i < 60; ++i) {
      fibers.push_back(spawn([&, how = random() % 4] {
        switch (how) {
          case 0:
            for (;;) {
              std::scoped_lock guard(lock);
              EXPECT_EQ(++inside, 1);
              struct Leave {
                std::atomic<int>& inside;
                ~Leave() { --inside; }
              } leave{inside};
              yield();
            }
          case 1: {
            std::unique_lock guard(lock);
            changed.wait(guard);
            break;
          }
          case 2:
            full.send(1);
            break;
          default:
            sleep_for(1h);
        }
      }));
      if (random() % 4 == 0) {
        fibers[random() % fibers.size()].cancel();
      }
    }
    changed.notify_one();
    kill_all(fibers);
    ASSERT_EQ(inside, 0);
  }
}

TEST_F(CarriersStress, JoinAllSeesTheLastOne) {
  for (int round = 0; round < kRounds * 5; ++round) {
    std::atomic<int> ended = 0;
    for (int i = 0; i < 8; ++i) {
      spawn([&ended, i] {
        if (i % 2 == 0) {
          yield();
        }
        spawn([&ended] { ++ended; }).detach();
      }).detach();
    }
    join_all();
    ASSERT_EQ(ended, 8);
  }
}

// One lost wake-up, and this stands still: the carriers sleep between any two of its steps.
TEST_F(CarriersStress, OneAfterTheOther) {
  for (int round = 0; round < kRounds * 25; ++round) {
    ASSERT_EQ(spawn([round] { return spawn([round] { return round; }).get(); }).get(), round);
  }
}

TEST_F(CarriersStress, AllStartWhileTheyAreKeptBusy) {
  for (int round = 0; round < kRounds; ++round) {
    std::atomic<unsigned> here = 0;
    group meeting;
    for (unsigned i = 0; i < kCarriers; ++i) {
      meeting.spawn([&here] {
        ++here;
        auto end = std::chrono::steady_clock::now() + 30s;
        while (here != kCarriers && std::chrono::steady_clock::now() < end) {
        }
        EXPECT_EQ(here, kCarriers);
      });
    }
  }
}

}  // namespace
}  // namespace ramie::test

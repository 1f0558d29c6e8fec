// Fibers of several kernel threads, and plain kernel threads, on the same primitives at random.
// What is checked is conservation: nothing counted twice, nobody woken who isn't told, nobody
// forgotten.
//
// SEED=n repeats a run's choices (not its timing); every failure prints the seed.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <array>
#include <atomic>
#include <cstdio>
#include <cstdlib>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

#include "core/sanitizer.h"
#include "sync/parking_lot.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;
using Random = std::minstd_rand;

#if defined(RAMIE_TSAN) || defined(RAMIE_ASAN)
constexpr int kScale = 1;
#else
constexpr int kScale = 5;
#endif

constexpr int kCarriers = 2;  // kernel threads with fibers
constexpr int kFibers = 16;   // on each
constexpr int kThreads = 3;   // kernel threads without

class Stress : public ::testing::Test {
 protected:
  void SetUp() override {
    const char* wish = std::getenv("SEED");
    seed_ = wish != nullptr ? static_cast<unsigned>(std::strtoul(wish, nullptr, 10))
                            : std::random_device()();
    std::printf("SEED=%u\n", seed_);
    RecordProperty("seed", std::to_string(seed_));
  }

  // Runs `work` on all workers of all kinds, each with its own random numbers, and waits for them.
  template <class Work>
  void everywhere(Work work) {
    SCOPED_TRACE("SEED=" + std::to_string(seed_));
    std::vector<std::thread> threads;
    for (int carrier = 0; carrier < kCarriers; ++carrier) {
      threads.emplace_back([&, carrier] {
        std::vector<fiber<void>> fibers;
        for (int i = 0; i < kFibers; ++i) {
          fibers.push_back(spawn([&, carrier, i] { work(random_for(carrier * kFibers + i)); }));
        }
        for (auto& one : fibers) {
          one.get();
        }
      });
    }
    for (int i = 0; i < kThreads; ++i) {
      threads.emplace_back([&, i] { work(random_for(1000 + i)); });
    }
    for (auto& thread : threads) {
      thread.join();
    }
  }

  [[nodiscard]] Random random_for(int worker) const {
    return Random(seed_ + static_cast<unsigned>(worker) * 7919U);
  }

  static constexpr int kWorkers = kCarriers * kFibers + kThreads;
  unsigned seed_ = 0;
};

// A pause that may or may not switch.
void dawdle(Random& random) {
  switch (random() % 8) {
    case 0:
      yield();
      break;
    case 1:
      sleep_for(std::chrono::microseconds(random() % 50));
      break;
    default:
      break;
  }
}

TEST_F(Stress, MutexesGuardWhatTheyGuard) {
  struct Guarded {
    mutex lock;
    long sum = 0;
    int inside = 0;
  };
  std::array<Guarded, 3> all;
  std::atomic<long> expected = 0;
  everywhere([&](Random random) {
    for (int i = 0; i < 100 * kScale; ++i) {
      Guarded& one = all[random() % all.size()];
      std::unique_lock<mutex> lock(one.lock, std::defer_lock);
      switch (random() % 3) {
        case 0:
          lock.lock();
          break;
        case 1:
          (void)lock.try_lock();
          break;
        default:
          (void)lock.try_lock_for(std::chrono::microseconds(random() % 100));
          break;
      }
      if (lock.owns_lock()) {
        EXPECT_EQ(++one.inside, 1);
        dawdle(random);
        --one.inside;
        ++one.sum;
        ++expected;
      }
    }
  });
  long sum = 0;
  for (Guarded& one : all) {
    sum += one.sum;
    EXPECT_TRUE(one.lock.try_lock());
    one.lock.unlock();
  }
  EXPECT_EQ(sum, expected);
}

TEST_F(Stress, AQueueDeliversEachItemOnce) {
  constexpr int kItems = 60 * kScale;
  mutex lock;
  condition_variable not_empty;
  condition_variable not_full;
  std::vector<int> items;
  long received = 0;
  std::atomic<int> producers = kWorkers;
  everywhere([&](Random random) {
    // Everybody produces; in between, and until all is received, everybody consumes.
    int produced = 0;
    bool counted = false;
    for (;;) {
      std::unique_lock guard(lock);
      if (produced < kItems && items.size() < 8) {
        items.push_back(1);
        ++produced;
        not_empty.notify_one();
      } else if (!items.empty()) {
        received += items.back();
        items.pop_back();
        not_full.notify_one();
      } else {
        if (produced == kItems && !counted) {
          counted = true;
          if (--producers == 0) {
            not_empty.notify_all();
          }
        }
        if (producers == 0) {
          return;
        }
        not_empty.wait_for(guard, std::chrono::microseconds(random() % 2000));
      }
      guard.unlock();
      dawdle(random);
    }
  });
  EXPECT_EQ(received + static_cast<long>(items.size()), static_cast<long>(kItems) * kWorkers);
}

TEST_F(Stress, ASemaphoreNeitherMakesNorLosesUnits) {
  constexpr int kUnits = 4;
  counting_semaphore<> units(kUnits);
  std::atomic<int> outside = kUnits;
  everywhere([&](Random random) {
    for (int i = 0; i < 100 * kScale; ++i) {
      bool got = true;
      if (random() % 2 == 0) {
        units.acquire();
      } else {
        got = units.try_acquire_for(std::chrono::microseconds(random() % 100));
      }
      if (got) {
        EXPECT_GE(--outside, 0);
        dawdle(random);
        ++outside;
        units.release();
      }
    }
  });
  for (int i = 0; i < kUnits; ++i) {
    EXPECT_TRUE(units.try_acquire());
  }
  EXPECT_FALSE(units.try_acquire());
}

TEST_F(Stress, EachWakeOfTheLotIsSomebodysAwakening) {
  std::array<int, 4> addresses{};
  std::atomic<long> wakes = 0;
  std::atomic<long> awakenings = 0;
  std::atomic<int> running = kWorkers;
  auto wake_at_random = [&](Random& random) {
    int* one = &addresses[random() % addresses.size()];
    int* other = &addresses[random() % addresses.size()];
    switch (random() % 4) {
      case 0:
        wakes += sync::unpark(one, random() % 3, random() % 2 == 0 ? 1U : sync::kAllBits);
        break;
      case 1:
        wakes += sync::unpark_one(one, [](sync::UnparkOne) { return uint32_t{7}; }) ? 1 : 0;
        break;
      case 2:
        wakes += sync::requeue(one, other, random() % 2, random() % 4, [] { return true; }).woken;
        break;
      default:
        sync::PairResult woken =
            sync::unpark_two(one, random() % 2, other, 1, [&] { return random() % 2 == 0; });
        wakes += woken.first + woken.second;
        break;
    }
  };
  everywhere([&](Random random) {
    for (int i = 0; i < 150 * kScale; ++i) {
      if (random() % 2 == 0) {
        wake_at_random(random);
      } else {
        auto limit = static_cast<int64_t>(random() % 200'000);
        sync::ParkOptions options{.deadline = base::Deadline::after(base::now(), limit),
                                  .bits = 1U << random() % 2,
                                  .front = random() % 4 == 0};
        sync::ParkResult result = sync::park(&addresses[random() % addresses.size()], options,
                                             [&] { return random() % 8 != 0; });
        awakenings += result.how == sync::Outcome::woken ? 1 : 0;
        EXPECT_NE(result.how, sync::Outcome::interrupted);
      }
    }
    --running;
  });
  EXPECT_EQ(running, 0);
  EXPECT_EQ(wakes, awakenings);
  for (int& address : addresses) {
    EXPECT_EQ(sync::unpark(&address, sync::kEverybody), 0U);
  }
}

TEST_F(Stress, AnEventReleasesEachRoundOfWaiters) {
  constexpr int kRounds = 10 * kScale;
  std::array<event, kRounds> gates;
  std::array<std::atomic<int>, kRounds> arrived{};
  everywhere([&](Random random) {
    for (int round = 0; round < kRounds; ++round) {
      dawdle(random);
      if (++arrived[round] == kWorkers) {
        gates[round].set();
      } else if (random() % 4 == 0) {
        while (!gates[round].wait_for(50us)) {
        }
      } else {
        gates[round].wait();
      }
      EXPECT_EQ(arrived[round], kWorkers);
    }
  });
}

TEST_F(Stress, FibersThatComeAndGoAreJoinedOnce) {
  std::atomic<int> ran = 0;
  std::atomic<int> started = 0;
  everywhere([&](Random random) {
    if (this_fiber::id() == 0) {
      return;  // what a plain thread spawned would stand still whenever that thread doesn't wait
    }
    for (int i = 0; i < 30 * kScale; ++i) {
      ++started;
      bool sleeps = random() % 4 == 0;
      fiber<int> child = spawn([&ran, sleeps] {
        if (sleeps) {
          sleep_for(20us);
        }
        return ++ran;
      });
      switch (random() % 4) {
        case 0:
          EXPECT_GT(child.get(), 0);
          break;
        case 1:
          while (!child.join_for(10us)) {
          }
          break;
        case 2: {
          fiber<void> helper = spawn([&] { child.join(); });
          child.join();
          helper.join();
          break;
        }
        default:
          yield();
          child.join();
          break;
      }
    }
  });
  EXPECT_EQ(ran, started);
}

}  // namespace
}  // namespace ramie::test

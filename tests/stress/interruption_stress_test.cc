// Cancellations, ends of time-out scopes, wake-ups and ends of fibers, all at the same time and
// from several kernel threads: whatever wins, no unit is lost, no lock stays held, no fiber stays
// behind.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>
#include <ramie/wait.h>

#include <array>
#include <atomic>
#include <cstdint>
#include <mutex>
#include <random>
#include <thread>
#include <vector>

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

constexpr int kThreads = 3;
constexpr int kRounds = 60;
constexpr int kFibers = 20;
constexpr int kUnits = 2;

struct Shared {
  mutex lock;
  condition_variable changed;
  counting_semaphore<> units{kUnits};
  std::array<event, 3> events;
  std::atomic<int> holders = 0;
  std::atomic<int> most = 0;
};

void wait_somehow(Shared& all, unsigned how) {
  switch (how % 6) {
    case 0: {
      std::scoped_lock locked(all.lock);
      yield();
      break;
    }
    case 1: {
      all.units.acquire();
      struct Unit {
        Shared& all;
        ~Unit() {
          --all.holders;
          all.units.release();
        }
      } unit{all};
      EXPECT_LE(++all.holders, kUnits);
      yield();
      break;
    }
    case 2: {
      std::unique_lock locked(all.lock);
      all.changed.wait_for(locked, 200us);
      break;
    }
    case 3:
      (void)wait_any(all.events[0], all.events[1], all.events[2]);
      break;
    case 4:
      sleep_for(100us);
      break;
    default:
      all.events[how % 3].set();
      all.changed.notify_all();
      yield();
      all.events[how % 3].clear();
  }
}

void live(Shared& all, std::uint32_t seed) {
  std::minstd_rand random(seed);
  for (int i = 0; i < 8; ++i) {
    try {
      timeout limit(std::chrono::microseconds(50 + random() % 400));
      wait_somehow(all, random());
    } catch (const timeout_error&) {
    }
  }
}

void run_thread(Shared& all, std::uint32_t seed) {
  std::minstd_rand random(seed);
  for (int round = 0; round < kRounds; ++round) {
    std::vector<fiber<void>> fibers;
    for (int i = 0; i < kFibers; ++i) {
      fibers.push_back(spawn(live, std::ref(all), random()));
    }
    std::thread canceller([&fibers, seed = random()] {
      std::minstd_rand order(seed);
      for (int i = 0; i < kFibers; ++i) {
        fibers[order() % kFibers].cancel();
        std::this_thread::yield();
      }
    });
    std::size_t ended = 0;
    for (fiber<void>& one : as_completed(fibers)) {
      EXPECT_TRUE(one.ready());
      ++ended;
    }
    EXPECT_EQ(ended, fibers.size());
    canceller.join();
    for (fiber<void>& one : fibers) {
      try {
        one.get();
      } catch (const cancelled&) {
      }
    }
  }
}

TEST(Interruptions, LoseNothingInARaceWithEverythingElse) {
  Shared all;
  std::vector<std::thread> threads;
  for (std::uint32_t t = 0; t < kThreads; ++t) {
    threads.emplace_back([&all, t] { run_thread(all, 1 + t * 7919); });
  }
  for (auto& one : threads) {
    one.join();
  }
  EXPECT_EQ(all.holders, 0);
  EXPECT_TRUE(all.lock.try_lock());
  all.lock.unlock();
  for (int i = 0; i < kUnits; ++i) {
    EXPECT_TRUE(all.units.try_acquire());
  }
  EXPECT_FALSE(all.units.try_acquire());
}

TEST(Interruptions, GroupsEndWhateverHappensToTheirOwners) {
  std::atomic<int> live_members = 0;
  for (int round = 0; round < 100; ++round) {
    fiber<void> owner = spawn([&] {
      group members;
      for (int i = 0; i < 10; ++i) {
        members.spawn([&, i] {
          ++live_members;
          struct Guard {
            std::atomic<int>& count;
            ~Guard() { --count; }
          } guard{live_members};
          sleep_for(std::chrono::microseconds(i * 30));
          if (i == 9) {
            throw 1;
          }
        });
      }
    });
    std::thread canceller([&] { owner.cancel(); });
    owner.join();
    canceller.join();  // get() empties the handle, which only one thread may use then
    try {
      owner.get();
    } catch (int) {
    } catch (const cancelled&) {
    }
    ASSERT_EQ(live_members, 0);
  }
}

}  // namespace
}  // namespace ramie::test

// Who runs next when one fiber wakes another and waits.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <memory>
#include <string>
#include <vector>

#include "core/park.h"
#include "core/scheduler.h"

namespace ramie::test {
namespace {

// Two fibers that wake each other in turn, as often as `count`, beside `others` that always yield.
// How often each of those had its turn meanwhile, on average.
double turns_of_others(int count, int others) {
  counting_semaphore<> ping{0};
  counting_semaphore<> pong{0};
  bool stop = false;
  long turns = 0;
  std::vector<fiber<void>> crowd;
  for (int i = 0; i < others; ++i) {
    crowd.push_back(spawn([&] {
      while (!stop) {
        ++turns;
        yield();
      }
    }));
  }
  yield();
  fiber<void> second = spawn([&] {
    for (int i = 0; i < count / 2; ++i) {
      ping.acquire();
      pong.release();
    }
  });
  turns = 0;
  for (int i = 0; i < count / 2; ++i) {
    ping.release();
    pong.acquire();
  }
  double result = static_cast<double>(turns) / others;
  stop = true;
  second.join();
  for (fiber<void>& one : crowd) {
    one.join();
  }
  return result;
}

TEST(HandOver, GoesAheadOfThoseThatAreReady) {
  constexpr int kCount = 10'000;
  EXPECT_LT(turns_of_others(kCount, 100), kCount / 4);  // in line, they had one each time
}

TEST(HandOver, KeepsNobodyFromHisTurn) {
  constexpr int kCount = 10'000;
  EXPECT_GT(turns_of_others(kCount, 1), kCount / 50);
  EXPECT_GT(turns_of_others(kCount, 100), kCount / 50);
}

// A fiber that any carrier may run, and that always yields.
class Homeless {
 public:
  Homeless(core::Carrier& carrier, const bool& stop, long& turns) : stop_(stop), turns_(turns) {
    fiber_.kind = core::FiberKind::hosted;
    fiber_.stack = {stack_.get(), kStackSize};
    fiber_.entry = [](core::Fiber& self) { static_cast<Homeless*>(self.argument)->run(); };
    fiber_.argument = this;
    fiber_.fs_base = carrier.loop.fs_base;
    fiber_.context = core::make_context(fiber_.stack.top(), fiber_.stack.size, core::fiber_main);
    fiber_.sanitizer.create(fiber_.stack.base, fiber_.stack.size);
    core::make_ready(fiber_);
  }
  [[nodiscard]] bool has_ended() const { return has_ended_; }

 private:
  static constexpr size_t kStackSize = 256UL * 1024;

  void run() {
    while (!stop_) {
      ++turns_;
      (void)core::yield();
    }
    core::exit_current({[](void* flag) { *static_cast<bool*>(flag) = true; }, &has_ended_});
  }

  const bool& stop_;
  long& turns_;
  std::unique_ptr<char[]> stack_{new char[kStackSize]};
  core::WholeFiber fiber_;
  bool has_ended_ = false;
};

// The carrier takes turns between those and its own.
TEST(HandOver, LeavesEveryOtherTurnToThoseThatAnyCarrierMayRun) {
  constexpr int kCount = 10'000;
  counting_semaphore<> ping{0};
  counting_semaphore<> pong{0};
  fiber<void> second = spawn([&] {
    for (int i = 0; i < kCount / 2; ++i) {
      ping.acquire();
      pong.release();
    }
  });
  bool stop = false;
  long own_turns = 0;
  fiber<void> own = spawn([&] {  // without whom nothing would be handed over
    while (!stop) {
      ++own_turns;
      yield();
    }
  });
  yield();
  long turns = 0;
  Homeless others[] = {{core::attach(), stop, turns}, {core::attach(), stop, turns}};
  own_turns = 0;
  for (int i = 0; i < kCount / 2; ++i) {
    ping.release();
    pong.acquire();
  }
  EXPECT_GT(turns, kCount / 2);
  EXPECT_GT(own_turns, kCount / 4) << "nothing is handed over beside them";
  stop = true;
  second.join();
  own.join();
  while (!others[0].has_ended() || !others[1].has_ended()) {
    yield();
  }
}

// `first` runs when a, b and c wait for one unit each, and d is ready.
template <class F>
std::string order_after(F first) {
  std::string trace;
  counting_semaphore<> units[3] = {counting_semaphore<>{0}, counting_semaphore<>{0},
                                   counting_semaphore<>{0}};
  std::vector<fiber<void>> fibers;
  for (int i = 0; i < 3; ++i) {
    fibers.push_back(spawn([&, i] {
      units[i].acquire();
      trace += static_cast<char>('a' + i);
    }));
  }
  yield();  // by now all wait
  event end;
  fibers.push_back(spawn([&] { first(units, end); }));
  fibers.push_back(spawn([&] { trace += 'd'; }));
  yield();
  end.set();
  for (auto& unit : units) {
    unit.release();
  }
  for (fiber<void>& one : fibers) {
    one.join();
  }
  return trace;
}

TEST(HandOver, WakesOneAndWaits) {
  EXPECT_EQ(order_after([](auto& units, event& end) {
              units[0].release();
              end.wait();
            }).substr(0, 2),
            "ad");
}

TEST(HandOver, SeveralThatWereWokenKeepTheirPlaces) {
  EXPECT_EQ(order_after([](auto& units, event& end) {
              for (auto& unit : units) {
                unit.release();
              }
              end.wait();
            }).substr(0, 4),
            "dabc");
}

TEST(HandOver, WhoYieldsHandsNothingOver) {
  EXPECT_EQ(order_after([](auto& units, event&) {
              units[0].release();
              yield();
            }).substr(0, 2),
            "da");
}

// Whoever has called spawn_now() goes on when the new fiber waits.
TEST(HandOver, GoesToNobodyFromWithinSpawnNow) {
  std::string trace;
  counting_semaphore<> woken{0};
  counting_semaphore<> waits{0};
  fiber<void> other = spawn([&] {
    woken.acquire();
    trace += 'o';
  });
  yield();
  fiber<void> child = spawn_now([&] {
    woken.release();
    waits.acquire();
    trace += 'c';
  });
  trace += 's';
  waits.release();
  child.join();
  other.join();
  EXPECT_EQ(trace.substr(0, 1), "s");
}

TEST(HandOver, WhoWasSpawnedMeanwhileComesInItsTurn) {
  EXPECT_EQ(order_after([](auto& units, event& end) {
              units[0].release();
              spawn([] {}).detach();
              end.wait();
            }).substr(0, 2),
            "da");
}

}  // namespace
}  // namespace ramie::test

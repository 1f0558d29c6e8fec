#include <gtest/gtest.h>
#include <ramie/background.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>
#include <unistd.h>

#include <chrono>
#include <string>
#include <thread>
#include <vector>

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(Idle, ReturnsWhenAllOthersWait) {
  int turns = 0;
  int seen = -1;
  fiber<void> other = spawn([&] {
    for (; turns < 500; ++turns) {  // more than the loop lets run in one turn
      yield();
    }
  });
  fiber<void> last = spawn([&] {
    idle();
    seen = turns;
  });
  last.join();
  EXPECT_EQ(seen, 500);
  other.join();
}

TEST(Idle, LetsTimesAndDescriptorsComeFirst) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  std::string order;
  fiber<void> sleeper = spawn([&] {
    sleep_for(1ms);
    order += 's';
  });
  fiber<void> reader = spawn([&] {
    (void)io::wait(fds[0], io::readable);
    order += 'r';
  });
  yield();
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  std::this_thread::sleep_for(5ms);  // holds the carrier up until both are due
  idle();
  order += 'i';
  sleeper.join();
  reader.join();
  EXPECT_EQ(order.back(), 'i');
  EXPECT_EQ(order.size(), 3U);
  close(fds[0]);
  close(fds[1]);
}

TEST(Idle, ThoseWhoWaitTakeTurns) {
  std::string order;
  std::vector<fiber<void>> idlers;
  for (char name : {'a', 'b', 'c'}) {
    idlers.push_back(spawn([&order, name] {
      for (int i = 0; i < 3; ++i) {
        idle();
        order += name;
      }
    }));
  }
  for (auto& one : idlers) {
    one.join();
  }
  EXPECT_EQ(order, "abcabcabc");
}

TEST(Idle, EndsByCancel) {
  bool goes_on = true;
  fiber<void> busy = spawn([&] {
    while (goes_on) {
      yield();
    }
  });
  fiber<void> waiting = spawn([] { idle(); });
  fiber<void> behind = spawn([] { idle(); });
  for (int i = 0; i < 10; ++i) {
    yield();
  }
  EXPECT_FALSE(waiting.ready());
  waiting.cancel();
  EXPECT_THROW(waiting.get(), cancelled);
  goes_on = false;
  behind.get();
  busy.get();
}

TEST(Idle, IsAYieldOnAThreadWithoutFibers) {
  std::thread([] { idle(); }).join();
}

TEST(JoinAll, WaitsForEveryFiberOfTheThread) {
  int ended = 0;
  for (int i = 0; i < 10; ++i) {
    spawn([&ended, i] {
      sleep_for(std::chrono::milliseconds(i));
      spawn([&ended] {
        yield();
        ++ended;
      }).detach();
    }).detach();
  }
  join_all();
  EXPECT_EQ(ended, 10);
  join_all();
}

TEST(JoinAll, PassesOverThoseWhoSleepInTheBackground) {
  fiber<void> ticker = spawn([] {
    for (;;) {
      sleep_in_background(1h);
    }
  });
  bool ended = false;
  spawn([&] {
    sleep_for(2ms);
    ended = true;
  }).detach();
  join_all();
  EXPECT_TRUE(ended);
  EXPECT_FALSE(ticker.ready());
  ticker.cancel();
  EXPECT_THROW(ticker.get(), cancelled);
}

TEST(JoinAll, ReturnsWhenTheLastOneGoesToSleepInTheBackground) {
  event may_sleep;
  fiber<void> last = spawn([&] {
    may_sleep.wait();
    sleep_in_background(1h);
  });
  fiber<void> first = spawn([&] { join_all(); });
  yield();
  EXPECT_FALSE(first.ready());
  may_sleep.set();
  join_all();
  first.join();
  last.cancel();
  last.join();
}

TEST(JoinAll, HasALimitAndEndsByCancel) {
  event never_set;
  fiber<void> waiting = spawn([&] { never_set.wait(); });
  EXPECT_FALSE(join_all_for(2ms));
  {
    timeout limit(1ms);
    EXPECT_THROW(join_all(), timeout_error);
  }
  fiber<void> joiner = spawn([] { join_all(); });
  yield();
  joiner.cancel();
  EXPECT_THROW(joiner.get(), cancelled);
  never_set.set();
  EXPECT_TRUE(join_all_for(1min));
  waiting.get();
}

TEST(JoinAll, KnowsNothingOfOtherThreads) {
  event never_set;
  fiber<void> waiting = spawn([&] { never_set.wait(); });
  yield();
  std::thread([] {
    join_all();  // this one has no fibers
    int ended = 0;
    spawn([&] {
      yield();
      ++ended;
    }).detach();
    join_all();
    EXPECT_EQ(ended, 1);
  }).join();
  EXPECT_FALSE(waiting.ready());
  never_set.set();
  waiting.get();
}

}  // namespace
}  // namespace ramie::test

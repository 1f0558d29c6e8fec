// Fibers of one kernel thread and a kernel thread that runs none, which wait for each other by each
// of the means of the API: in both directions, round after round, so that either comes first.
#include <gtest/gtest.h>
#include <ramie/channel.h>
#include <ramie/fiber.h>
#include <ramie/future.h>
#include <ramie/latch.h>
#include <ramie/queue.h>
#include <ramie/select.h>
#include <ramie/sync.h>

#include <atomic>
#include <memory>
#include <optional>
#include <thread>
#include <utility>
#include <vector>

namespace ramie::test {
namespace {

constexpr int kRounds = 300;

// `here` on a fiber of this kernel thread, beside another fiber that sleeps now and then; `there`
// on a kernel thread without fibers.
template <class Here, class There>
void beside_each_other(Here here, There there) {
  std::thread other(there);
  bool is_over = false;
  auto sleeper = spawn([&] {
    while (!is_over) {
      sleep_for(std::chrono::microseconds(300));
    }
  });
  auto fiber = spawn(here);
  fiber.get();
  is_over = true;
  sleeper.get();
  other.join();
}

TEST(AcrossThreads, Channels) {
  for (std::size_t capacity : {0, 1}) {
    channel<int> questions(capacity);
    channel<int> answers(capacity);
    int sum = 0;
    beside_each_other(
        [&] {
          for (int i = 0; i < kRounds; ++i) {
            questions.send(i);
            sum += *answers.receive();
          }
          questions.close();
        },
        [&] {
          for (int number : questions) {
            answers.send(2 * number);
          }
        });
    EXPECT_EQ(sum, kRounds * (kRounds - 1));
  }
}

TEST(AcrossThreads, Queues) {
  queue<int> questions;
  queue<int> answers;
  int sum = 0;
  beside_each_other(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          questions.put(i);
          sum += answers.get();
        }
        questions.close();
      },
      [&] {
        for (int number : questions) {
          answers.put(2 * number);
        }
      });
  EXPECT_EQ(sum, kRounds * (kRounds - 1));
}

TEST(AcrossThreads, Promises) {
  std::vector<promise<int>> questions(kRounds);
  std::vector<promise<int>> answers(kRounds);
  int sum = 0;
  beside_each_other(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          questions[static_cast<std::size_t>(i)].set_value(i);
          sum += answers[static_cast<std::size_t>(i)].get_future().get();
        }
      },
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          auto place = static_cast<std::size_t>(i);
          answers[place].set_value(2 * questions[place].get_future().get());
        }
      });
  EXPECT_EQ(sum, kRounds * (kRounds - 1));
}

// A promise goes as soon as it has been kept, and whoever waited lets its future go.
TEST(AcrossThreads, PromisesThatGo) {
  channel<promise<int>> asked(1);
  int sum = 0;
  auto ask = [&](int number) {
    promise<int> wanted;
    future<int> answer = wanted.get_future();
    asked.send(std::move(wanted));
    return answer.get() + number;
  };
  auto keep = [&](int number) {
    std::optional<promise<int>> wanted = asked.receive();
    wanted->set_value(number);
  };
  beside_each_other(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          sum += ask(i);
          keep(i);
        }
      },
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          keep(i);
          (void)ask(i);
        }
      });
  EXPECT_EQ(sum, kRounds * (kRounds - 1));
}

TEST(AcrossThreads, Events) {
  std::vector<event> there(kRounds);
  std::vector<event> back(kRounds);
  int plain = 0;  // what the events order
  beside_each_other(
      [&] {
        for (std::size_t i = 0; i < kRounds; ++i) {
          ++plain;
          there[i].set();
          back[i].wait();
        }
      },
      [&] {
        for (std::size_t i = 0; i < kRounds; ++i) {
          there[i].wait();
          ++plain;
          back[i].set();
        }
      });
  EXPECT_EQ(plain, 2 * kRounds);
}

TEST(AcrossThreads, Semaphores) {
  counting_semaphore<> there{0};
  counting_semaphore<> back{0};
  int plain = 0;
  beside_each_other(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          ++plain;
          there.release();
          back.acquire();
        }
      },
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          there.acquire();
          ++plain;
          back.release();
        }
      });
  EXPECT_EQ(plain, 2 * kRounds);
}

TEST(AcrossThreads, MutexesAndConditionVariables) {
  mutex guard;
  condition_variable changed;
  int turn = 0;
  auto take_turns = [&](int mine) {
    for (int i = 0; i < kRounds; ++i) {
      std::unique_lock held(guard);
      changed.wait(held, [&] { return turn % 2 == mine; });
      ++turn;
      changed.notify_one();
    }
  };
  beside_each_other([&] { take_turns(0); }, [&] { take_turns(1); });
  EXPECT_EQ(turn, 2 * kRounds);
}

// The kernel thread waits for the end of fibers that run here, and gets what they return.
TEST(AcrossThreads, Fibers) {
  channel<fiber<int>> handles(1);
  long sum = 0;
  beside_each_other(
      [&] {
        for (int i = 0; i < kRounds; ++i) {
          handles.send(spawn([i] {
            if (i % 3 == 0) {
              yield();
            }
            return i;
          }));
        }
        handles.close();
      },
      [&] {
        for (std::optional<fiber<int>> one; (one = handles.receive());) {
          sum += one->get();
        }
      });
  EXPECT_EQ(sum, kRounds * (kRounds - 1) / 2);
}

// A kernel thread that begins to spawn, ends its fibers and ends, while fibers elsewhere wait for
// what they do.
TEST(AcrossThreads, ThreadsThatBeginToSpawn) {
  constexpr int kThreads = 20;
  channel<int> numbers(0);
  int sum = 0;
  auto receiver = spawn([&] {
    for (int number : numbers) {
      sum += number;
    }
  });
  auto starter = spawn([&] {
    std::vector<std::thread> threads;
    latch all(kThreads);
    for (int t = 0; t < kThreads; ++t) {
      threads.emplace_back([&] {
        auto first = spawn([&] { numbers.send(1); });
        auto second = spawn([&] { numbers.send(2); });
        first.get();
        second.get();
        all.count_down();
      });
    }
    all.wait();
    numbers.close();
    for (std::thread& one : threads) {
      one.join();
    }
  });
  starter.get();
  receiver.get();
  EXPECT_EQ(sum, 3 * kThreads);
}

}  // namespace
}  // namespace ramie::test

#include <gtest/gtest.h>
#include <ramie/background.h>
#include <ramie/cancel.h>
#include <ramie/carriers.h>
#include <ramie/channel.h>
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/server.h>
#include <ramie/sync.h>
#include <ramie/timer.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <chrono>
#include <map>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <vector>

#include "core/sanitizer.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(UseCarriers, OneChangesNothing) {
  EXPECT_EQ(carriers(), 1U);
  EXPECT_EQ(use_carriers(1), 1U);
  EXPECT_EQ(carriers(), 1U);
  bool ran = false;
  fiber<pid_t> only = spawn([&] {
    ran = true;
    return gettid();
  });
  EXPECT_FALSE(ran);
  EXPECT_EQ(only.get(), gettid());
}

class Carriers : public testing::Test {
 protected:
  Carriers() { EXPECT_EQ(use_carriers(2), 2U); }
};

// Waits without letting anybody run.
template <class Condition>
bool spin_until(Condition condition) {
  auto end = std::chrono::steady_clock::now() + 20s;
  while (!condition()) {
    if (std::chrono::steady_clock::now() > end) {
      return false;
    }
  }
  return true;
}

// Whether a child runs while the fiber that spawned it computes.
bool does_child_run_meanwhile() {
  std::atomic<bool> ran = false;
  fiber<void> child = spawn([&] { ran = true; });
  bool seen = spin_until([&] { return ran.load(); });
  child.join();
  return seen;
}

TEST_F(Carriers, FibersRunAtTheSameTime) {
  std::atomic<int> here = 0;
  auto meet = [&here] {
    ++here;
    return spin_until([&here] { return here == 2; });
  };
  fiber<bool> one = spawn(meet);
  fiber<bool> two = spawn(meet);
  EXPECT_TRUE(one.get());
  EXPECT_TRUE(two.get());
}

TEST_F(Carriers, ChildrenOfOneThatComputesRunMeanwhile) {
  EXPECT_TRUE(spawn(does_child_run_meanwhile).get());
}

TEST_F(Carriers, TheSpawnerNeedNotWait) {
  std::atomic<pid_t> ran_on = 0;
  fiber<void> other = spawn([&] { ran_on = gettid(); });
  EXPECT_TRUE(spin_until([&] { return ran_on != 0; }));
  EXPECT_NE(ran_on, gettid());
  other.join();
}

TEST_F(Carriers, AChildIsFoundThoughNobodyIsCalledForIt) {
  bool met = spawn([] {
               for (int i = 0; i < 200; ++i) {  // until it does not pay to call help
                 spawn([] {}).join();
               }
               return does_child_run_meanwhile();
             }).get();
  EXPECT_TRUE(met);
}

TEST_F(Carriers, AChildIsFoundByOneThatIsNeverIdle) {
  std::atomic<bool> ran = false;
  std::atomic<bool> is_busy = false;
  fiber<void> busy = spawn([&] {
    is_busy = true;
    while (!ran) {
      yield();
    }
  });
  ASSERT_TRUE(spin_until([&] { return is_busy.load(); }));
  fiber<bool> computing = spawn([&] {
    fiber<void> child = spawn([&] { ran = true; });
    bool seen = spin_until([&] { return ran.load(); });
    ran = true;
    child.join();
    return seen;
  });
  EXPECT_TRUE(computing.get());
  busy.join();
}

TEST_F(Carriers, AThreadWithoutFibersWaitsForAllToo) {
  std::thread([] {
    std::atomic<bool> ended = false;
    std::thread([&] {
      spawn([&] {
        sleep_for(20ms);
        ended = true;
      }).detach();
    }).join();
    join_all();
    EXPECT_TRUE(ended);
  }).join();
}

TEST_F(Carriers, ATimerNeedNotWaitForAFreeCarrier) {
  std::atomic<bool> stop = false;
  group computing;
  for (int i = 0; i < 2; ++i) {
    computing.spawn([&] { spin_until([&] { return stop.load(); }); });
  }
  timer limit(20ms);
  limit.wait();
  stop = true;
}

TEST_F(Carriers, OneThatStaysRunsWhereItWasSpawned) {
  std::atomic<bool> ran = false;
  fiber<pid_t> local = spawn({.stays = true}, [&] {
    ran = true;
    return gettid();
  });
  std::this_thread::sleep_for(5ms);
  EXPECT_FALSE(ran);
  EXPECT_EQ(local.get(), gettid());
  EXPECT_EQ(spawn_now([] { return gettid(); }).get(), gettid());
}

TEST_F(Carriers, PlainThreadsSpawnToo) {
  std::thread([] {
    pid_t self = gettid();
    EXPECT_NE(spawn([] { return gettid(); }).get(), self);
  }).join();
}

TEST_F(Carriers, AFiberStaysWhereItBegan) {
  std::vector<fiber<bool>> fibers;
  for (int i = 0; i < 200; ++i) {
    fibers.push_back(spawn([i] {
      pid_t begun = gettid();
      for (int turn = 0; turn < 20; ++turn) {
        errno = i;
        turn % 2 == 0 ? yield() : sleep_for(100us);
        if (gettid() != begun || errno != i) {
          return false;
        }
      }
      return true;
    }));
  }
  for (fiber<bool>& one : fibers) {
    EXPECT_TRUE(one.get());
  }
}

std::map<pid_t, int> count_those_that_come_one_by_one() {
  std::map<pid_t, int> counts;
  spawn([&] {
    mutex lock;
    event end;
    group waiting;
    for (int i = 0; i < 1000; ++i) {
      waiting.spawn([&] {
        {
          std::scoped_lock guard(lock);
          ++counts[gettid()];
        }
        end.wait();
      });
      yield();
    }
    sleep_for(50ms);
    end.set();
  }).get();
  return counts;
}

// Otherwise all connections of a server would be where they are accepted.
// On a busy machine the kernel may not run both carriers in the moment that this takes.
TEST_F(Carriers, ThoseThatComeOneByOneAreSpread) {
  std::map<pid_t, int> counts;
  auto is_spread = [&] {
    return counts.size() == 2 &&
           std::ranges::all_of(counts, [](auto each) { return each.second > 250; });
  };
  for (int attempt = 0; attempt < 100 && !is_spread(); ++attempt) {
    counts = count_those_that_come_one_by_one();
  }
  ASSERT_EQ(counts.size(), 2U);
  for (auto [thread, count] : counts) {
    EXPECT_GT(count, 250) << "on " << thread;
  }
}

TEST_F(Carriers, ResultsExceptionsAndCancellationsArrive) {
  for (int i = 0; i < 1000; ++i) {
    ASSERT_EQ(spawn([i] { return i; }).get(), i);
  }
  EXPECT_THROW(spawn([] { throw std::runtime_error("no"); }).get(), std::runtime_error);
  for (int i = 0; i < 200; ++i) {  // before it begins, as it begins, while it sleeps
    fiber<void> sleeper = spawn([] { sleep_for(1h); });
    if (i % 3 == 1) {
      std::this_thread::yield();
    } else if (i % 3 == 2) {
      sleep_for(100us);
    }
    sleeper.cancel();
    EXPECT_THROW(sleeper.get(), cancelled);
  }
}

long add_up(long first, long leaves) {
  if (leaves == 1) {
    return first;
  }
  std::vector<fiber<long>> parts;
  for (int i = 0; i < 10; ++i) {
    parts.push_back(spawn(add_up, first + i * leaves / 10, leaves / 10));
  }
  long sum = 0;
  for (fiber<long>& part : parts) {
    sum += part.get();
  }
  return sum;
}

TEST_F(Carriers, ATreeAddsUp) { EXPECT_EQ(add_up(0, 1000), 1000L * 999 / 2); }

TEST_F(Carriers, LocksAndChannelsSeparateThem) {
  mutex lock;
  long sum = 0;
  channel<int> numbers(16);
  {
    group work;
    for (int i = 0; i < 50; ++i) {
      work.spawn([&] {
        for (int k = 1; k <= 100; ++k) {
          numbers.send(k);
        }
      });
      work.spawn([&] {
        for (int k = 0; k < 100; ++k) {
          int number = numbers.receive().value();
          std::scoped_lock guard(lock);
          sum += number;
        }
      });
    }
  }
  EXPECT_EQ(sum, 50L * 5050);
}

TEST_F(Carriers, JoinAllWaitsForThemAndNotForTheBackground) {
  std::atomic<int> ended = 0;
  fiber<void> idler = spawn([] { sleep_in_background(1h); });
  for (int i = 0; i < 100; ++i) {
    spawn([&ended] {
      sleep_for(5ms);
      spawn([&ended] {
        sleep_for(5ms);
        ++ended;
      }).detach();
    }).detach();
  }
  join_all();
  EXPECT_EQ(ended, 100);
  spawn([&] {  // who waits for the others isn't waited for, either
    spawn([&ended] {
      sleep_for(10ms);
      ++ended;
    }).detach();
    join_all();
    EXPECT_EQ(ended, 101);
  })
      .join();
  EXPECT_FALSE(join_all_for(0ms) && ended != 101);
  idler.cancel();
  idler.join();
}

TEST_F(Carriers, AServerUsesThem) {
  std::atomic<int> served = 0;
  stream_server echo(endpoint("127.0.0.1:0"), [&](stream peer) {
    char buffer[64];
    while (std::size_t size = peer.read_some(buffer)) {
      peer.write_all({buffer, size});
    }
    ++served;
  });
  echo.start();
  group clients;
  for (int i = 0; i < 50; ++i) {
    clients.spawn([&echo, i] {
      stream to = stream::connect(echo.local());
      for (int turn = 0; turn < 20; ++turn) {
        std::string sent = std::to_string(i * 1000 + turn);
        to.write_all(sent);
        std::string got(sent.size(), '\0');
        EXPECT_EQ(to.read_full(got), got.size());
        ASSERT_EQ(got, sent);
      }
    });
  }
  clients.join();
  EXPECT_TRUE(echo.stop(10s));
  EXPECT_EQ(served, 50);
}

#if !defined(RAMIE_TSAN)  // which lets no child of a process with threads start threads
TEST_F(Carriers, AForksChildHasOne) {
  auto fork_and_look = [] {
    pid_t child = fork();
    if (child == 0) {
      pid_t self = gettid();
      bool is_alone = carriers() == 1 && spawn([] { return gettid(); }).get() == self;
      bool is_joined = false;
      spawn([&] { is_joined = true; }).detach();
      join_all();
      bool comes_back = use_carriers(2) == 2 && spawn([] { return gettid(); }).get() != self;
      _exit(is_alone && is_joined && comes_back ? 0 : 1);
    }
    int status = -1;
    waitpid(child, &status, 0);
    return status;
  };
  EXPECT_EQ(fork_and_look(), 0);
  EXPECT_EQ(spawn(fork_and_look).get(), 0);
}
#endif

TEST_F(Carriers, MoreMayBeAskedFor) {
  EXPECT_EQ(use_carriers(4), 4U);
  EXPECT_EQ(use_carriers(2), 4U);
  std::atomic<int> here = 0;
  group meeting;
  for (int i = 0; i < 4; ++i) {
    meeting.spawn([&] {
      ++here;
      EXPECT_TRUE(spin_until([&] { return here == 4; }));
    });
  }
}

}  // namespace
}  // namespace ramie::test

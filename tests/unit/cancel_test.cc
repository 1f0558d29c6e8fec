#include <gtest/gtest.h>
#include <ramie/cancel.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <ramie/pipe.h>
#include <ramie/sync.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

// What each way of waiting needs, and the way itself.
struct Things {
  Things() {
    EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, sockets), 0);
    held.lock();
    for_ever = spawn([this] { gate.wait(); });
  }
  ~Things() {
    held.unlock();
    gate.set();
    for_ever.join();
    for (int fd : sockets) {
      io::notify_close(fd);
      ::close(fd);
    }
  }

  mutex held;
  mutex free;
  condition_variable changed;
  counting_semaphore<> none{0};
  event gate;
  fiber<void> for_ever;
  std::pair<pipe_reader, pipe_writer> pipe = make_pipe();
  listener doors{endpoint("127.0.0.1:0")};
  int sockets[2];
};

struct Way {
  const char* name;
  void (*wait)(Things&);
};

const Way kWays[] = {
    {"Sleep", [](Things&) { sleep_for(1h); }},
    {"SleepUntil", [](Things&) { sleep_until(std::chrono::steady_clock::now() + 1h); }},
    {"Join", [](Things& all) { all.for_ever.join(); }},
    {"JoinFor", [](Things& all) { (void)all.for_ever.join_for(1h); }},
    {"Mutex", [](Things& all) { all.held.lock(); }},
    {"MutexFor", [](Things& all) { (void)all.held.try_lock_for(1h); }},
    {"Condition",
     [](Things& all) {
       std::unique_lock lock(all.free);
       all.changed.wait(lock, [] { return false; });
     }},
    {"Semaphore", [](Things& all) { all.none.acquire(); }},
    {"SemaphoreFor", [](Things& all) { (void)all.none.try_acquire_for(1h); }},
    {"Event", [](Things& all) { all.gate.wait(); }},
    {"EventFor", [](Things& all) { (void)all.gate.wait_for(1h); }},
    {"Descriptor", [](Things& all) { (void)io::wait(all.sockets[0], io::readable); }},
    {"Pipe",
     [](Things& all) {
       char byte;
       (void)all.pipe.first.read_some({&byte, 1});
     }},
    {"Accept", [](Things& all) { (void)all.doors.accept(); }},
    {"Yield",
     [](Things&) {
       for (;;) {
         yield();
       }
     }},
};

class CancelledWait : public ::testing::TestWithParam<Way> {};

TEST_P(CancelledWait, ThrowsInTheWaitThatIsUnderWay) {
  Things all;
  bool waits = false;
  fiber<void> waiter = spawn([&] {
    waits = true;
    GetParam().wait(all);
  });
  ASSERT_TRUE(eventually([&] { return waits; }));
  yield();
  waiter.cancel();
  EXPECT_THROW(waiter.get(), cancelled);
  EXPECT_TRUE(all.free.try_lock()) << "the condition's mutex was unlocked on the way out";
  all.free.unlock();
}

TEST_P(CancelledWait, ThrowsInTheNextWait) {
  Things all;
  event go;
  fiber<void> waiter = spawn([&] {
    {
      this_fiber::cancellation_disabled quiet;
      go.wait();
    }
    EXPECT_TRUE(this_fiber::interruption_requested());
    GetParam().wait(all);
  });
  yield();
  waiter.cancel();
  yield();
  go.set();
  EXPECT_THROW(waiter.get(), cancelled);
}

TEST_P(CancelledWait, ThrowsWhenAnotherThreadCancels) {
  Things all;
  std::atomic<bool> waits = false;
  fiber<void> waiter = spawn([&] {
    waits = true;
    GetParam().wait(all);
  });
  std::thread canceller([&] {
    while (!waits) {
      std::this_thread::yield();
    }
    waiter.cancel();
  });
  waiter.join();
  canceller.join();
  EXPECT_THROW(waiter.get(), cancelled);
}

INSTANTIATE_TEST_SUITE_P(Ways, CancelledWait, ::testing::ValuesIn(kWays),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(Cancel, AFiberThatHasNotStartedNeverRuns) {
  bool ran = false;
  fiber<void> worker = spawn([&] { ran = true; });
  worker.cancel();
  EXPECT_THROW(worker.get(), cancelled);
  EXPECT_FALSE(ran);
}

TEST(Cancel, RunsDestructorsAndIsNoStdException) {
  bool destroyed = false;
  bool eaten = false;
  fiber<void> worker = spawn([&] {
    struct Guard {
      bool& done;
      ~Guard() { done = true; }
    } guard{destroyed};
    try {
      sleep_for(1h);
    } catch (const std::exception&) {
      eaten = true;
    }
  });
  yield();
  worker.cancel();
  worker.join();
  EXPECT_TRUE(destroyed);
  EXPECT_FALSE(eaten);
}

TEST(Cancel, ThrowsOnceForEachCall) {
  int thrown = 0;
  fiber<int> worker = spawn([&] {
    for (int i = 0; i < 2; ++i) {
      try {
        sleep_for(1h);
      } catch (const cancelled&) {
        ++thrown;
        sleep_for(1ms);  // the request is used up
      }
    }
    return 7;
  });
  yield();
  worker.cancel();
  ASSERT_TRUE(eventually([&] { return thrown == 1; }));
  sleep_for(5ms);
  worker.cancel();
  EXPECT_EQ(worker.get(), 7);
  EXPECT_EQ(thrown, 2);
}

TEST(Cancel, AWaitThatHasWhatItWantsReturnsIt) {
  mutex lock;
  event gate;
  gate.set();
  fiber<void> worker = spawn([&] {
    {
      this_fiber::cancellation_disabled quiet;
      yield();
    }
    std::scoped_lock locked(lock);
    gate.wait();
    EXPECT_TRUE(this_fiber::interruption_requested());
    EXPECT_THROW(sleep_for(1h), cancelled);
    EXPECT_FALSE(this_fiber::interruption_requested());
  });
  yield();
  worker.cancel();
  worker.get();
}

TEST(Cancel, ADisabledScopeWaitsAsIfNothingHappened) {
  event gate;
  bool passed = false;
  fiber<void> worker = spawn([&] {
    this_fiber::cancellation_disabled outer;
    { this_fiber::cancellation_disabled inner; }
    EXPECT_FALSE(gate.wait_for(1ms));
    gate.wait();
    passed = true;
  });
  yield();
  worker.cancel();
  EXPECT_FALSE(worker.join_for(20ms));
  gate.set();
  worker.get();
  EXPECT_TRUE(passed);
}

TEST(Cancel, WaitsDuringUnwindingDoNotThrow) {
  event gate;
  bool waited = false;
  fiber<void> worker = spawn([&] {
    struct Cleaner {
      event& gate;
      bool& waited;
      ~Cleaner() {
        gate.wait();
        waited = true;
      }
    } cleaner{gate, waited};
    sleep_for(1h);
  });
  yield();
  worker.cancel();
  yield();
  worker.cancel();
  EXPECT_FALSE(worker.join_for(5ms));
  gate.set();
  EXPECT_THROW(worker.get(), cancelled);
  EXPECT_TRUE(waited);
}

TEST(Cancel, AComputationCanAskForIt) {
  fiber<void> worker = spawn([] {
    this_fiber::interruption_point();
    {
      this_fiber::cancellation_disabled quiet;
      yield();
      this_fiber::interruption_point();
    }
    this_fiber::interruption_point();
    ADD_FAILURE();
  });
  yield();
  worker.cancel();
  EXPECT_THROW(worker.get(), cancelled);
}

TEST(Cancel, HasNoEffectOnAFiberThatHasEnded) {
  fiber<int> worker = spawn([] { return 1; });
  worker.join();
  worker.cancel();
  EXPECT_EQ(worker.get(), 1);
  fiber<void>().cancel();
}

TEST(Cancel, IsNotReportedAsALostException) {
  ::testing::internal::CaptureStderr();
  {
    fiber<void> worker = spawn([] { sleep_for(1h); });
    yield();
    worker.cancel();
    worker.join();
  }
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Cancel, TheNextFiberOnTheSameStackIsNotCancelled) {
  fiber<void> first = spawn([] {});
  first.join();
  first.cancel();
  first.detach();
  EXPECT_EQ(spawn([] {
              sleep_for(1ms);
              return 3;
            }).get(),
            3);
}

// Cancellations race with the wake-up itself: each ends in one of the two, and no unit is lost.
TEST(Cancel, RacesWithReleaseWithoutLosingUnits) {
  for (int round = 0; round < 200; ++round) {
    counting_semaphore<> units{0};
    std::atomic<int> taken = 0;
    std::vector<fiber<void>> workers;
    for (int i = 0; i < 4; ++i) {
      workers.push_back(spawn([&] {
        units.acquire();
        ++taken;
      }));
    }
    std::thread other([&] {
      for (int i = 0; i < 4; ++i) {
        workers[static_cast<size_t>(i)].cancel();
        units.release();
      }
    });
    for (auto& worker : workers) {
      worker.join();
    }
    other.join();
    int left = 0;
    while (units.try_acquire()) {
      ++left;
    }
    ASSERT_EQ(taken + left, 4);
  }
}

}  // namespace
}  // namespace ramie::test

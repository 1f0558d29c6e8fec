// What the library has for wait_any() and its relatives beside fibers and events.
#include <ramie/process.h>
#include <ramie/readiness.h>
#include <ramie/testing.h>
#include <ramie/timer.h>
#include <ramie/wait.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(WaitForASemaphore, TakesNoUnit) {
  counting_semaphore<> units(1);
  event never_set;
  EXPECT_EQ(wait_any(never_set, units), 1U);
  EXPECT_TRUE(units.try_acquire());
  EXPECT_EQ(wait_any_for(1ms, never_set, units), std::nullopt);
  fiber<void> other = spawn([&] { units.release(); });
  EXPECT_EQ(wait_any(never_set, units), 1U);
  EXPECT_TRUE(units.try_acquire());
  other.join();
}

// The unit that a release announces to one who only watches goes to the next who wants it.
TEST(WaitForASemaphore, ARelaseReachesThoseWhoAcquire) {
  counting_semaphore<> units(0);
  std::vector<fiber<void>> fibers;
  int watched = 0;
  int acquired = 0;
  for (int i = 0; i < 20; ++i) {
    if (i % 2 == 0) {
      fibers.push_back(spawn([&] {
        wait_all(units);
        ++watched;
      }));
    } else {
      fibers.push_back(spawn([&] {
        units.acquire();
        ++acquired;
      }));
    }
  }
  yield();
  EXPECT_EQ(parked_on(&units), 20U);
  for (int i = 0; i < 10; ++i) {
    units.release();
  }
  for (std::size_t i = 1; i < fibers.size(); i += 2) {
    fibers[i].join();
  }
  EXPECT_EQ(acquired, 10);
  units.release();  // for those who watch and came too late
  wait_all(fibers);
  EXPECT_EQ(watched, 10);
  EXPECT_TRUE(units.try_acquire());
  EXPECT_FALSE(units.try_acquire());
}

// Even while the one who watches goes on waiting for something else.
TEST(WaitForASemaphore, AWatchInFrontKeepsNoUnitFromAWaiter) {
  counting_semaphore<> units(0);
  event last;
  fiber<void> watcher = spawn([&] { wait_all(units, last); });
  yield();
  bool acquired = false;
  fiber<void> waiter = spawn([&] {
    units.acquire();
    acquired = true;
  });
  yield();
  EXPECT_EQ(parked_on(&units), 2U);
  units.release();
  EXPECT_EQ(parked_on(&units), 0U);
  yield();
  EXPECT_TRUE(acquired);
  units.release();
  last.set();
  watcher.join();
  waiter.join();
  EXPECT_TRUE(units.try_acquire());
}

TEST(WaitForASemaphore, RacesWithThreads) {
  constexpr int kUnits = 2000;
  counting_semaphore<> units(0);
  std::atomic<int> taken = 0;
  std::atomic<bool> over = false;
  std::vector<std::thread> threads;
  for (int t = 0; t < 2; ++t) {
    threads.emplace_back([&] {
      while (taken.fetch_add(1) < kUnits) {
        units.acquire();
      }
      over = true;
    });
  }
  fiber<void> watcher = spawn([&] {
    event never_set;
    while (!over) {
      (void)wait_any_for(1ms, never_set, units);
    }
  });
  std::thread releaser([&] {
    for (int i = 0; i < kUnits; ++i) {
      units.release();
    }
  });
  watcher.join();
  for (auto& one : threads) {
    one.join();
  }
  releaser.join();
  EXPECT_FALSE(units.try_acquire());
}

TEST(Timer, ExpiresOnceAndForAll) {
  auto before = std::chrono::steady_clock::now();
  timer soon(5ms);
  event never_set;
  EXPECT_FALSE(soon.has_expired());
  EXPECT_EQ(wait_any(never_set, soon), 1U);
  EXPECT_GE(std::chrono::steady_clock::now() - before, 5ms);
  EXPECT_TRUE(soon.has_expired());
  soon.wait();
  soon.cancel();
  EXPECT_TRUE(soon.has_expired());
}

TEST(Timer, OrdersWithOthersAndIsCancelled) {
  auto start = std::chrono::steady_clock::now();
  timer late(start + 1h);
  timer early(start + 2ms);
  std::vector<timer*> both{&late, &early};
  EXPECT_EQ(wait_any(both), 1U);
  late.cancel();
  EXPECT_EQ(wait_any_for(2ms, late), std::nullopt);
}

TEST(Timer, WakesKernelThreadsToo) {
  timer soon(3ms);
  std::atomic<bool> woken = false;
  std::thread waiter([&] {
    soon.wait();
    woken = true;
  });
  EXPECT_TRUE(eventually([&] { return woken.load(); }));
  waiter.join();
}

TEST(Readiness, TellsWhatHappened) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  {
    readiness input(fds[0], io::readable);
    readiness output(fds[1], io::writable);
    EXPECT_EQ(wait_any(input, output), 1U);
    EXPECT_EQ(output.get(), io::writable);
    EXPECT_FALSE(input.ready());
    ASSERT_EQ(write(fds[1], "x", 1), 1);
    EXPECT_EQ(wait_any(input), 0U);
    EXPECT_EQ(input.get(), io::readable);
  }
  readiness dropped(fds[0], io::readable);
  io::notify_close(fds[0]);
  close(fds[0]);
  close(fds[1]);
}

TEST(Readiness, PassesOnTheErrorOfADescriptorThatIsClosed) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  readiness input(fds[0], io::readable);
  yield();
  io::notify_close(fds[0]);
  close(fds[0]);
  EXPECT_THROW(input.get(), std::system_error);
  close(fds[1]);
}

// Watching files needs nothing of its own: inotify is a descriptor.
TEST(Readiness, OfAnInotifyDescriptorTellsOfChangedFiles) {
  std::string directory = testing::TempDir() + "ramie_inotify_XXXXXX";
  ASSERT_NE(mkdtemp(directory.data()), nullptr);
  int fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
  ASSERT_GE(fd, 0);
  ASSERT_GE(inotify_add_watch(fd, directory.c_str(), IN_CREATE), 0);
  {
    readiness changed(fd, io::readable);
    std::string file = directory + "/new";
    fiber<void> maker = spawn([&] {
      if (FILE* made = fopen(file.c_str(), "w")) {
        fclose(made);
      }
    });
    EXPECT_EQ(changed.get(), io::readable);
    maker.join();
    unlink(file.c_str());
  }
  io::notify_close(fd);
  close(fd);
  rmdir(directory.c_str());
}

TEST(WaitAny, TakesAllKindsTogether) {
  counting_semaphore<> none(0);
  event never_set;
  timer late(1h);
  process child({"true"});
  fiber<int> forever = spawn([&] {
    never_set.wait();
    return 1;
  });
  EXPECT_EQ(wait_any(none, never_set, late, child, forever), 3U);
  EXPECT_TRUE(child.wait().success());
  never_set.set();
  EXPECT_EQ(forever.get(), 1);
}

TEST(SwitchCount, SeesWhetherOthersCouldRun) {
  fiber<void> other = spawn([] { yield(); });
  switch_count before;
  EXPECT_EQ(before.since(), 0U);
  yield();
  EXPECT_GT(before.since(), 0U);
  other.join();
  std::thread([] {
    switch_count none;
    yield();
    EXPECT_EQ(none.since(), 0U);
  }).join();
}

}  // namespace
}  // namespace ramie::test

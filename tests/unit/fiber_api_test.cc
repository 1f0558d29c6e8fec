#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>
#include <ramie/version.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(Fiber, ReturnsWhatItsFunctionReturned) {
  EXPECT_EQ(spawn([] { return 42; }).get(), 42);
  EXPECT_EQ(spawn([](int a, const std::string& b) { return b + std::to_string(a); }, 7, "x").get(),
            "x7");
}

TEST(Fiber, ReturnsTypesThatOnlyMove) {
  fiber<std::unique_ptr<int>> result = spawn(
      [](std::unique_ptr<int> in) {
        ++*in;
        return in;
      },
      std::make_unique<int>(1));
  EXPECT_EQ(*result.get(), 2);
}

TEST(Fiber, ReturnsReferences) {
  int object = 0;
  fiber<int&> result = spawn([](int& it) -> int& { return it; }, std::ref(object));
  EXPECT_EQ(&result.get(), &object);
}

TEST(Fiber, RunsWhenItsSpawnerWaitsAndNotBefore) {
  bool ran = false;
  fiber<void> worker = spawn([&] { ran = true; });
  EXPECT_FALSE(ran);
  worker.join();
  EXPECT_TRUE(ran);
}

TEST(Fiber, FibersTakeTurns) {
  std::string trace;
  auto speak = [&](char c) {
    for (int i = 0; i < 3; ++i) {
      trace += c;
      yield();
    }
  };
  fiber<void> a = spawn(speak, 'a');
  fiber<void> b = spawn(speak, 'b');
  a.join();
  b.join();
  EXPECT_EQ(trace, "ababab");
}

TEST(Fiber, SleepersSleepAtTheSameTime) {
  auto before = std::chrono::steady_clock::now();
  std::vector<fiber<void>> sleepers;
  std::string order;
  for (int i = 0; i < 3; ++i) {
    sleepers.push_back(spawn([&order, i] {
      sleep_for((3 - i) * 30ms);
      order += static_cast<char>('0' + i);
    }));
  }
  for (auto& sleeper : sleepers) {
    sleeper.join();
  }
  EXPECT_GE(std::chrono::steady_clock::now() - before, 90ms);
  EXPECT_EQ(order, "210");
}

TEST(Fiber, SleepsWithoutAnyFiberToo) {
  auto until = std::chrono::steady_clock::now() + 2ms;
  std::thread([&] {
    sleep_until(until);
    sleep_for(-1s);
    yield();
    EXPECT_EQ(this_fiber::id(), 0U);
    EXPECT_EQ(this_fiber::name(), "");
  }).join();
  EXPECT_GE(std::chrono::steady_clock::now(), until);
}

TEST(Fiber, GetThrowsWhatTheFunctionThrew) {
  fiber<int> thrower = spawn([]() -> int { throw std::runtime_error("lost it"); });
  thrower.join();
  try {
    (void)thrower.get();
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "lost it");
  }
  EXPECT_FALSE(thrower.joinable());
}

TEST(Fiber, AnExceptionThatNobodyTakesIsReportedAndNoMore) {
  ::testing::internal::CaptureStderr();
  {
    fiber<void> dropped_after = spawn({.name = "after"}, [] { throw std::runtime_error("one"); });
    dropped_after.join();
  }
  spawn({.name = "before"}, [] { throw std::runtime_error("two"); }).detach();
  spawn([] { throw 3; }).detach();
  fiber<void> taken = spawn([] { throw std::runtime_error("four"); });
  EXPECT_THROW(taken.get(), std::runtime_error);
  std::string text = ::testing::internal::GetCapturedStderr();
  EXPECT_NE(text.find("(after) ended by an exception that nobody took: one\n"), text.npos) << text;
  EXPECT_NE(text.find("(before) ended by an exception that nobody took: two\n"), text.npos) << text;
  EXPECT_NE(text.find("isn't a std::exception"), text.npos) << text;
  EXPECT_EQ(text.find("four"), text.npos) << text;
}

TEST(Fiber, ExceptionsInFlightSurviveSwitches) {
  auto juggle = [](int depth) {
    try {
      throw depth;
    } catch (int) {
      yield();  // others throw and catch meanwhile
      try {
        throw std::to_string(depth);
      } catch (const std::string& inner) {
        yield();
        EXPECT_EQ(inner, std::to_string(depth));
      }
      EXPECT_EQ(std::uncaught_exceptions(), 0);
      try {
        throw;
      } catch (int again) {
        EXPECT_EQ(again, depth);
      }
    }
  };
  std::vector<fiber<void>> jugglers;
  for (int i = 0; i < 10; ++i) {
    jugglers.push_back(spawn(juggle, i));
  }
  for (auto& juggler : jugglers) {
    juggler.get();
  }
}

TEST(Fiber, ADestructorMaySwitchWhileAnExceptionUnwinds) {
  struct Switches {
    ~Switches() {
      EXPECT_EQ(std::uncaught_exceptions(), 1);
      yield();
      EXPECT_EQ(std::uncaught_exceptions(), 1);
    }
  };
  auto unwind = [] {
    Switches on_the_way_out;
    throw 1;
  };
  fiber<void> a = spawn(unwind);
  fiber<void> b = spawn(unwind);
  fiber<void> calm = spawn([] { EXPECT_EQ(std::uncaught_exceptions(), 0); });
  EXPECT_THROW(a.get(), int);
  EXPECT_THROW(b.get(), int);
  calm.get();
}

TEST(Fiber, ErrnoBelongsToEachFiber) {
  auto keep = [](int value) {
    for (int i = 0; i < 5; ++i) {
      errno = value;
      yield();
      EXPECT_EQ(errno, value);
    }
  };
  fiber<void> a = spawn(keep, 11);
  fiber<void> b = spawn(keep, 22);
  errno = 33;
  a.join();
  EXPECT_EQ(errno, 33);
  b.join();
}

TEST(Fiber, ADroppedFiberRunsOn) {
  event done;
  {
    auto dropped = spawn([&] { done.set(); });
  }
  done.wait();
}

TEST(Fiber, ArgumentsAndResultsAreDestroyedOnce) {
  struct Counted {
    explicit Counted(int& count) : count_(&count) { ++*count_; }
    Counted(const Counted& other) : count_(other.count_) { ++*count_; }
    ~Counted() { --*count_; }
    int* count_;
  };
  int alive = 0;
  {
    Counted original(alive);
    fiber<Counted> taken = spawn([](Counted in) { return in; }, original);
    taken.join();
    EXPECT_EQ(alive, 2);  // the original and the result: the argument is gone
    Counted result = taken.get();
    EXPECT_EQ(alive, 2);
    fiber<Counted> untaken = spawn([](Counted in) { return in; }, original);
    untaken.join();
    spawn([](Counted in) { return in; }, original).detach();
    yield();
  }
  EXPECT_EQ(alive, 0);
}

TEST(Fiber, ABigClosureFindsItsPlace) {
  std::array<char, 200'000> big{};
  big[199'999] = 'z';
  EXPECT_EQ(spawn([big] { return big[199'999]; }).get(), 'z');
  struct alignas(256) Aligned {
    char c;
  };
  EXPECT_TRUE(spawn([](const Aligned& a) { return reinterpret_cast<uintptr_t>(&a) % 256 == 0; },
                    Aligned{'a'})
                  .get());
}

TEST(Fiber, TimedJoinsEndAtTheirTime) {
  event go;
  fiber<int> slow = spawn([&] {
    go.wait();
    return 1;
  });
  EXPECT_FALSE(slow.join_for(5ms));
  EXPECT_FALSE(slow.join_until(std::chrono::system_clock::now() - 1h));
  EXPECT_FALSE(slow.join_until(std::chrono::steady_clock::time_point::min()));
  go.set();
  EXPECT_TRUE(slow.join_for(std::chrono::hours::max()));
  EXPECT_EQ(slow.get(), 1);
}

TEST(Fiber, SeveralMayWaitForOne) {
  event go;
  fiber<void> target = spawn([&] { go.wait(); });
  std::atomic<int> joined = 0;
  fiber<void> other = spawn([&] {
    target.join();
    ++joined;
  });
  std::thread thread([&] {
    target.join();
    ++joined;
  });
  yield();
  go.set();
  target.join();
  other.join();
  thread.join();
  EXPECT_EQ(joined, 2);
}

TEST(Fiber, WrongJoinsThrow) {
  fiber<void> nothing;
  EXPECT_FALSE(nothing.joinable());
  EXPECT_THROW(nothing.join(), std::system_error);
  fiber<void> self;
  std::error_code code;
  self = spawn([&] {
    try {
      self.join();
    } catch (const std::system_error& error) {
      code = error.code();
    }
  });
  self.join();
  EXPECT_EQ(code, std::errc::resource_deadlock_would_occur);
}

TEST(Fiber, ASpawnThatCannotCopyLeavesNothingBehind) {
  struct Refuses {
    Refuses() = default;
    Refuses(const Refuses&) { throw std::runtime_error("no copies"); }
    void operator()() const {}
  };
  Refuses original;
  for (int i = 0; i < 1000; ++i) {
    EXPECT_THROW((void)spawn(original), std::runtime_error);
  }
}

TEST(Fiber, AStackThatCannotBeHadThrows) {
  try {
    (void)spawn({.stack_size = size_t{1} << 46}, [] {});
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::resource_unavailable_try_again);
  }
}

TEST(Fiber, HasANameAndANumber) {
  auto check = [] {
    EXPECT_EQ(this_fiber::name(), "a-name-of-many-");
    return this_fiber::id();
  };
  fiber<uint64_t> named = spawn({.name = "a-name-of-many-letters"}, check);
  EXPECT_EQ(named.name(), "a-name-of-many-");
  uint64_t id = named.id();
  EXPECT_NE(id, 0U);
  EXPECT_EQ(named.get(), id);
  EXPECT_EQ(named.id(), 0U);
  EXPECT_NE(spawn([] { return this_fiber::id(); }).get(), id);
}

TEST(Fiber, TheStackHasTheSizeThatWasAskedFor) {
  auto use = [] {
    volatile char room[900'000];
    room[0] = 1;
    room[sizeof room - 1] = 1;
    return room[0] + room[sizeof room - 1];
  };
  EXPECT_EQ(spawn({.stack_size = 1024 * 1024}, use).get(), 2);
}

TEST(Fiber, FibersOfSeveralThreadsWorkTogether) {
  std::vector<std::thread> threads;
  std::atomic<int> sum = 0;
  mutex lock;
  int guarded = 0;
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&] {
      std::vector<fiber<void>> fibers;
      for (int i = 0; i < 50; ++i) {
        fibers.push_back(spawn([&] {
          std::lock_guard guard(lock);
          yield();
          ++guarded;
          sum += 1;
        }));
      }
      for (auto& one : fibers) {
        one.get();
      }
    });
  }
  for (auto& thread : threads) {
    thread.join();
  }
  EXPECT_EQ(sum, 150);
  EXPECT_EQ(guarded, 150);
}

// What was joining the fiber stays in the parent, and must not go on in the child as well.
TEST(Fiber, OneThatForksGoesOnAlone) {
  pid_t child = -1;
  auto forks = spawn([&] {
    child = fork();
    if (child == 0) {
      static auto last = spawn([] {
        sleep_for(10ms);
        _exit(0);
      });
    }
  });
  forks.join();
  if (child == 0) {
    _exit(1);
  }
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
}

// More threads than there is room for at the same time: each leaves its place to the next.
TEST(Fiber, ThreadsThatSpawnMayComeAndGo) {
  for (int i = 0; i < 1'200; ++i) {
    int result = 0;
    std::thread([&] { result = spawn([i] { return i + 1; }).get(); }).join();
    ASSERT_EQ(result, i + 1);
  }
}

TEST(Version, IsOneOfItsHeaders) {
  EXPECT_EQ(version(), std::to_string(RAMIE_VERSION_MAJOR) + "." +
                           std::to_string(RAMIE_VERSION_MINOR) + "." +
                           std::to_string(RAMIE_VERSION_PATCH));
}

}  // namespace
}  // namespace ramie::test

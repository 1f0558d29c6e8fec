#include <gtest/gtest.h>
#include <ramie/group.h>
#include <ramie/timeout.h>

#include <atomic>
#include <memory>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(Group, LeavingTheScopeWaitsForAll) {
  int ended = 0;
  {
    group work;
    for (int i = 0; i < 10; ++i) {
      work.spawn(
          [&](int turns) {
            for (int k = 0; k < turns; ++k) {
              yield();
            }
            ++ended;
          },
          i);
    }
    EXPECT_EQ(work.size(), 10U);
    EXPECT_FALSE(work.full());
  }
  EXPECT_EQ(ended, 10);
}

TEST(Group, AFailureCancelsTheRestAndIsRethrown) {
  int cancelled_ones = 0;
  auto wait = [&] {
    try {
      sleep_for(1h);
    } catch (const cancelled&) {
      ++cancelled_ones;
      throw;
    }
  };
  auto run = [&] {
    group work;
    work.spawn(wait);
    work.spawn(wait);
    work.spawn([] {
      yield();
      throw std::runtime_error("first");
    });
  };
  try {
    run();
    FAIL() << "nothing was thrown";
  } catch (const std::runtime_error& error) {
    EXPECT_STREQ(error.what(), "first");
  }
  EXPECT_EQ(cancelled_ones, 2);
}

TEST(Group, JoinThrowsTheFailureOnceAndTheGroupGoesOn) {
  group work;
  work.spawn([] { throw 1; });
  EXPECT_THROW(work.join(), int);
  bool ran = false;
  work.spawn([&] { ran = true; });
  work.join();
  EXPECT_TRUE(ran);
}

TEST(Group, AfterAFailureNewMembersDoNotStart) {
  group work;
  work.spawn([] { throw 1; });
  ASSERT_TRUE(eventually([&] { return work.size() == 0; }));
  bool ran = false;
  work.spawn([&] { ran = true; });
  EXPECT_THROW(work.join(), int);
  EXPECT_FALSE(ran);
}

TEST(Group, AnExceptionThroughTheScopeCancelsTheMembers) {
  bool destroyed = false;
  struct Guard {
    bool& done;
    ~Guard() { done = true; }
  };
  auto run = [&] {
    group work;
    work.spawn([&] {
      Guard guard{destroyed};
      sleep_for(1h);
    });
    yield();
    throw std::logic_error("outside");
  };
  EXPECT_THROW(run(), std::logic_error);
  EXPECT_TRUE(destroyed);
}

TEST(Group, CancellingTheOwnerCancelsTheMembers) {
  bool member_ended = false;
  fiber<void> owner = spawn([&] {
    group work;
    work.spawn([&] {
      struct Guard {
        bool& done;
        ~Guard() { done = true; }
      } guard{member_ended};
      sleep_for(1h);
    });
  });
  yield();
  yield();
  owner.cancel();
  EXPECT_THROW(owner.get(), cancelled);
  EXPECT_TRUE(member_ended);
}

TEST(Group, ATimeoutAroundItEndsIt) {
  auto run = [] {
    timeout limit(5ms);
    group work;
    work.spawn([] { sleep_for(1h); });
    work.join();
  };
  EXPECT_THROW(run(), timeout_error);
}

TEST(Group, JoinForGivesUp) {
  group work;
  event gate;
  work.spawn([&] { gate.wait(); });
  EXPECT_FALSE(work.join_for(2ms));
  gate.set();
  EXPECT_TRUE(work.join_for(1h));
}

TEST(Group, SubmitHandsOutTheResultAndTheException) {
  group work;
  fiber<int> good = work.submit([](int x) { return x + 1; }, 1);
  fiber<void> bad = work.submit([] { throw std::runtime_error("mine"); });
  EXPECT_THROW(bad.get(), std::runtime_error);
  EXPECT_EQ(good.get(), 2);
  work.join();
  EXPECT_EQ(work.apply([] { return std::make_unique<int>(5); }) == nullptr, false);
}

TEST(Group, MembersMaySpawnMembers) {
  int ran = 0;
  {
    group work;
    work.spawn([&] {
      work.spawn([&] {
        work.spawn([&] { ++ran; });
        ++ran;
      });
      ++ran;
    });
  }
  EXPECT_EQ(ran, 3);
}

TEST(Group, StopTokensAreTheGroups) {
  group work;
  int stopped = 0;
  for (int i = 0; i < 3; ++i) {
    work.spawn([&](const std::stop_token& stop) {
      while (!stop.stop_requested()) {
        yield();
      }
      ++stopped;
    });
  }
  yield();
  work.request_stop();
  work.join();
  EXPECT_EQ(stopped, 3);
}

TEST(Group, CancelEndsMembersWithoutFailure) {
  group work;
  work.spawn([] { sleep_for(1h); });
  yield();
  work.cancel();
  work.join();
  EXPECT_EQ(work.size(), 0U);
}

TEST(Group, IsJoinedByAKernelThreadToo) {
  std::atomic<int> ran = 0;
  std::thread([&] {
    group work;
    work.spawn([&] { ++ran; });
    work.spawn([&] { ++ran; });
  }).join();
  EXPECT_EQ(ran, 2);
}

TEST(Group, ArgumentsAreGoneBeforeTheScopeIsLeft) {
  std::weak_ptr<int> seen;
  {
    group work;
    auto held = std::make_shared<int>(1);
    seen = held;
    work.spawn([held = std::move(held)] { yield(); });
  }
  EXPECT_TRUE(seen.expired());
}

TEST(Group, MembersHaveItsAttributes) {
  // More than the default stack holds.
  auto fill = [] {
    volatile char much[500'000];
    for (std::size_t i = 0; i < sizeof much; i += 1024) {
      much[i] = 1;
    }
    return std::string(this_fiber::name());
  };
  const fiber_attributes large{.name = "large", .stack_size = 1 << 20};
  group work(large);
  EXPECT_EQ(work.apply(fill), "large");
  pool two(2, large);
  EXPECT_EQ(two.apply(fill), "large");
}

TEST(Pool, NeverRunsMoreThanItsPlaces) {
  int running = 0;
  int most = 0;
  int ran = 0;
  {
    pool three(3);
    EXPECT_EQ(three.limit(), 3U);
    for (int i = 0; i < 20; ++i) {
      three.spawn([&] {
        most = std::max(most, ++running);
        yield();
        --running;
        ++ran;
      });
    }
  }
  EXPECT_EQ(ran, 20);
  EXPECT_EQ(most, 3);
}

TEST(Pool, ASpawnThatIsCancelledWhileItWaitsTakesNoPlace) {
  pool one(1);
  event gate;
  one.spawn([&] { gate.wait(); });
  EXPECT_TRUE(one.full());
  fiber<void> second = spawn([&] { one.spawn([] {}); });
  yield();
  second.cancel();
  EXPECT_THROW(second.get(), cancelled);
  gate.set();
  one.join();
  one.spawn([] {});
  one.join();
}

TEST(Pool, ServesSpawnersOnSeveralThreads) {
  std::atomic<int> ran = 0;
  pool four(4);
  std::vector<std::thread> spawners;
  for (int t = 0; t < 3; ++t) {
    spawners.emplace_back([&] {
      for (int i = 0; i < 50; ++i) {
        four.apply([&] {
          yield();
          ++ran;
        });
      }
    });
  }
  for (auto& one : spawners) {
    one.join();
  }
  four.join();
  EXPECT_EQ(ran, 150);
}

}  // namespace
}  // namespace ramie::test

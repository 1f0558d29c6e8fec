#include "sync/semaphore.h"

#include <ramie/sync.h>

#include <atomic>
#include <chrono>

#include "crew.h"

namespace ramie::test {
namespace {

using std::chrono::milliseconds;

template <class Crew>
class Semaphore : public ::testing::Test {
 protected:
  void start_acquirers(counting_semaphore<>& semaphore, unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      crew.start([this, &semaphore] {
        semaphore.acquire();
        ++acquired;
      });
    }
    ASSERT_TRUE(eventually([&] { return parked_on(&semaphore) == count; }));
  }

  std::atomic<unsigned> acquired = 0;
  Crew crew;
};
TYPED_TEST_SUITE(Semaphore, Crews);

TYPED_TEST(Semaphore, GivesTheUnitsItHas) {
  counting_semaphore<> semaphore(2);
  EXPECT_TRUE(semaphore.try_acquire());
  semaphore.acquire();
  EXPECT_FALSE(semaphore.try_acquire());
  semaphore.release(3);
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(semaphore.try_acquire());
  }
  EXPECT_FALSE(semaphore.try_acquire());
}

TYPED_TEST(Semaphore, AReleaseWakesAsManyAsItHasUnits) {
  counting_semaphore<> semaphore(0);
  this->start_acquirers(semaphore, 5);
  semaphore.release(2);
  ASSERT_TRUE(eventually([&] { return this->acquired == 2; }));
  EXPECT_EQ(parked_on(&semaphore), 3U);
  semaphore.release(4);
  ASSERT_TRUE(eventually([&] { return this->acquired == 5; }));
  EXPECT_TRUE(semaphore.try_acquire());
  EXPECT_FALSE(semaphore.try_acquire());
}

TYPED_TEST(Semaphore, ATimedWaitEndsAtItsTimeAndTakesNothing) {
  counting_semaphore<> semaphore(0);
  this->crew.start([&] {
    int64_t before = base::now();
    EXPECT_FALSE(semaphore.try_acquire_for(milliseconds(20)));
    EXPECT_GE(base::now() - before, 20'000'000);
  });
  this->crew.join();
  semaphore.release();
  EXPECT_TRUE(semaphore.try_acquire_until(std::chrono::steady_clock::now()));
}

TYPED_TEST(Semaphore, LimitsHowManyAreInside) {
  constexpr int kPlaces = 3;
  counting_semaphore<> places(kPlaces);
  std::atomic<int> inside = 0;
  for (int i = 0; i < 12; ++i) {
    this->crew.start([&] {
      for (int turn = 0; turn < 50; ++turn) {
        places.acquire();
        EXPECT_LE(++inside, kPlaces);
        yield();
        --inside;
        places.release();
      }
    });
  }
  this->crew.join();
  for (int i = 0; i < kPlaces; ++i) {
    EXPECT_TRUE(places.try_acquire());
  }
  EXPECT_FALSE(places.try_acquire());
}

TYPED_TEST(Semaphore, AGreedyUserStarvesNobody) {
  binary_semaphore semaphore(0);
  std::atomic<bool> got_it = false;
  this->crew.start([&] {
    semaphore.acquire();
    got_it = true;
    semaphore.release();
  });
  EXPECT_TRUE(eventually([&] {
    semaphore.release();
    semaphore.acquire();
    return got_it.load();
  }));
}

TYPED_TEST(Semaphore, TheRuntimesOwnWorksTheSameWay) {
  sync::Semaphore semaphore(0);
  this->crew.start([&] {
    semaphore.acquire();
    EXPECT_FALSE(semaphore.acquire_until(in_ms(1)));
    EXPECT_FALSE(semaphore.try_acquire());
    ++this->acquired;
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&semaphore) == 1; }));
  semaphore.release();
  EXPECT_TRUE(eventually([&] { return this->acquired == 1; }));
}

TEST(Semaphores, HoldAsMuchAsTheySay) {
  counting_semaphore<> most(counting_semaphore<>::max());
  EXPECT_TRUE(most.try_acquire());
  most.release();
  static_assert(binary_semaphore::max() == 1);
}

}  // namespace
}  // namespace ramie::test

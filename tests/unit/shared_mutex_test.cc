#include <ramie/shared_mutex.h>

#include <array>
#include <atomic>
#include <chrono>
#include <mutex>
#include <shared_mutex>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Crew>
class SharedMutex : public ::testing::Test {
 protected:
  // The second word is the one on which writers park.
  [[nodiscard]] unsigned waiting_writers() const {
    return parked_on(reinterpret_cast<const char*>(&lock) + 4);
  }
  [[nodiscard]] unsigned waiting_readers() const { return parked_on(&lock); }

  shared_mutex lock;
  Crew crew;
};
TYPED_TEST_SUITE(SharedMutex, Crews);

TYPED_TEST(SharedMutex, LetsManyReadersIn) {
  std::shared_lock mine(this->lock);
  std::atomic<int> inside = 0;
  std::atomic<bool> leave = false;
  for (int i = 0; i < 4; ++i) {
    this->crew.start([&] {
      std::shared_lock theirs(this->lock);
      ++inside;
      EXPECT_TRUE(eventually([&] { return leave.load(); }));
    });
  }
  EXPECT_TRUE(eventually([&] { return inside == 4; }));
  EXPECT_FALSE(this->lock.try_lock());
  leave = true;
  this->crew.join();
}

TYPED_TEST(SharedMutex, AWriterIsAlone) {
  constexpr int kTurns = 100;
  std::array<int, 8> copies{};
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        std::lock_guard writing(this->lock);
        for (int& copy : copies) {
          ++copy;
          if (turn % 16 == 0) {
            yield();
          }
        }
      }
    });
    this->crew.start([&] {
      for (int turn = 0; turn < kTurns; ++turn) {
        std::shared_lock reading(this->lock);
        for (int copy : copies) {
          EXPECT_EQ(copy, copies[0]);
        }
        if (turn % 16 == 0) {
          yield();
        }
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(copies[0], 3 * kTurns);
  EXPECT_TRUE(this->lock.try_lock());
  this->lock.unlock();
}

TYPED_TEST(SharedMutex, LaterReadersQueueUpBehindAWriter) {
  std::atomic<bool> written = false;
  this->lock.lock_shared();
  this->crew.start([&] {
    std::lock_guard writing(this->lock);
    written = true;
  });
  ASSERT_TRUE(eventually([&] { return this->waiting_writers() == 1; }));
  EXPECT_FALSE(this->lock.try_lock_shared());
  std::atomic<bool> read = false;
  this->crew.start([&] {
    std::shared_lock reading(this->lock);
    read = true;
  });
  ASSERT_TRUE(eventually([&] { return this->waiting_readers() == 1; }));
  EXPECT_FALSE(written || read);
  this->lock.unlock_shared();
  EXPECT_TRUE(eventually([&] { return written && read; }));
  this->crew.join();
}

TYPED_TEST(SharedMutex, AWriterThatGivesUpLetsTheReadersBehindItIn) {
  std::shared_lock mine(this->lock);
  std::atomic<bool> gave_up = false;
  this->crew.start([&] {
    EXPECT_FALSE(this->lock.try_lock_for(50ms));
    gave_up = true;
  });
  std::atomic<int> read = 0;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      std::shared_lock reading(this->lock);
      ++read;
    });
  }
  // The readers get in although the first one, who held the writer up, stays inside.
  EXPECT_TRUE(eventually([&] { return gave_up && read == 3; }));
  this->crew.join();
}

TYPED_TEST(SharedMutex, AReaderThatGivesUpHoldsNobodyUp) {
  this->lock.lock();
  std::atomic<bool> gave_up = false;
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_FALSE(this->lock.try_lock_shared_for(10ms));
    EXPECT_FALSE(this->lock.try_lock_shared_until(before));
    EXPECT_GE(std::chrono::steady_clock::now() - before, 10ms);
    gave_up = true;
  });
  EXPECT_TRUE(eventually([&] { return gave_up.load(); }));
  this->lock.unlock();
  EXPECT_TRUE(this->lock.try_lock_for(1min));
  this->lock.unlock();
  this->crew.join();
}

// Every kind of ending at once: whatever the order, nobody is left behind.
TYPED_TEST(SharedMutex, TimedAndUntimedUsersMix) {
  std::atomic<int> inside = 0;
  for (int i = 0; i < 8; ++i) {
    this->crew.start([&, i] {
      for (int turn = 0; turn < 100; ++turn) {
        if (i % 4 == 0 && this->lock.try_lock_for(std::chrono::microseconds(turn))) {
          EXPECT_EQ(++inside, 1);
          yield();
          --inside;
          this->lock.unlock();
        } else if (i % 4 == 1 && this->lock.try_lock_shared_for(std::chrono::microseconds(turn))) {
          EXPECT_EQ(inside, 0);
          yield();
          this->lock.unlock_shared();
        } else if (i % 4 == 2) {
          std::lock_guard writing(this->lock);
          EXPECT_EQ(++inside, 1);
          --inside;
        } else if (i % 4 == 3) {
          std::shared_lock reading(this->lock);
          EXPECT_EQ(inside, 0);
          yield();
        }
      }
    });
  }
  this->crew.join();
  EXPECT_TRUE(this->lock.try_lock());
  this->lock.unlock();
}

}  // namespace
}  // namespace ramie::test

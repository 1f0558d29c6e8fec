#include <ramie/channel.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <set>
#include <vector>

#include "support/crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Parameters>
class Channel : public ::testing::Test {
 protected:
  static constexpr std::size_t kCapacity = Parameters::kNumber;

  channel<int> numbers{kCapacity};
  typename Parameters::Crew crew;
};

using Combinations =
    ::testing::Types<WithNumber<Fibers, 0>, WithNumber<Threads, 0>, WithNumber<Mixed, 0>,
                     WithNumber<Fibers, 1>, WithNumber<Threads, 1>, WithNumber<Mixed, 1>,
                     WithNumber<Fibers, 16>, WithNumber<Threads, 16>, WithNumber<Mixed, 16>>;
TYPED_TEST_SUITE(Channel, Combinations);

TYPED_TEST(Channel, DeliversEachElementOnce) {
  constexpr int kEach = 200;
  std::atomic<int> senders = 4;
  std::mutex guard;
  std::multiset<int> received;
  for (int s = 0; s < 4; ++s) {
    this->crew.start([&, s] {
      for (int i = 0; i < kEach; ++i) {
        this->numbers.send(s * kEach + i);
      }
      if (--senders == 0) {
        this->numbers.close();
      }
    });
    this->crew.start([&] {
      for (int number : this->numbers) {
        std::lock_guard held(guard);
        received.insert(number);
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(received.size(), 4U * kEach);
  EXPECT_EQ(std::set<int>(received.begin(), received.end()).size(), 4U * kEach);
}

TYPED_TEST(Channel, KeepsTheOrderOfASender) {
  std::vector<int> received;
  this->crew.start([&] {
    for (int i = 0; i < 100; ++i) {
      this->numbers.send(i);
    }
    this->numbers.close();
  });
  this->crew.start([&] {
    for (int number : this->numbers) {
      received.push_back(number);
    }
  });
  this->crew.join();
  ASSERT_EQ(received.size(), 100U);
  EXPECT_TRUE(std::is_sorted(received.begin(), received.end()));
}

TYPED_TEST(Channel, ASendWaitsOnceTheCapacityIsUnderWay) {
  for (std::size_t i = 0; i < this->kCapacity; ++i) {
    EXPECT_TRUE(this->numbers.try_send(static_cast<int>(i)));
  }
  EXPECT_EQ(this->numbers.size(), this->kCapacity);
  EXPECT_EQ(this->numbers.capacity(), this->kCapacity);
  EXPECT_FALSE(this->numbers.try_send(99));
  std::atomic<bool> sent = false;
  this->crew.start([&] {
    this->numbers.send(100);
    sent = true;
  });
  yield();
  EXPECT_FALSE(sent);
  std::optional<int> last;
  for (std::size_t i = 0; i <= this->kCapacity; ++i) {
    last = this->numbers.receive();
  }
  this->crew.join();
  EXPECT_EQ(last, 100);
  EXPECT_FALSE(this->numbers.try_receive());
}

TYPED_TEST(Channel, TimedFormsEndAtTheirTime) {
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_FALSE(this->numbers.receive_for(10ms));
    EXPECT_FALSE(this->numbers.receive_until(before));
    for (std::size_t i = 0; i < this->kCapacity; ++i) {
      EXPECT_TRUE(this->numbers.send_for(1, 10ms));
    }
    EXPECT_FALSE(this->numbers.send_for(2, 10ms));
    EXPECT_FALSE(this->numbers.send_until(2, before));
    EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
  });
  this->crew.join();
  EXPECT_EQ(this->numbers.try_receive().has_value(), this->kCapacity > 0) << "nothing lingers";
}

TYPED_TEST(Channel, ClosingEndsAllWaits) {
  std::atomic<int> begun = 0;
  std::atomic<int> ended = 0;
  channel<int> full;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      ++begun;
      EXPECT_FALSE(this->numbers.receive());
      ++ended;
    });
    this->crew.start([&] {
      ++begun;
      EXPECT_THROW(full.send(1), channel_closed);
      ++ended;
    });
  }
  ASSERT_TRUE(eventually([&] { return begun == 6; }));
  EXPECT_EQ(ended, 0);
  this->numbers.close();
  full.close();
  this->crew.join();
  EXPECT_EQ(ended, 6);
  EXPECT_TRUE(full.is_closed());
  EXPECT_THROW(full.send(1), channel_closed);
  EXPECT_THROW((void)full.try_send(1), channel_closed);
}

TYPED_TEST(Channel, WhatIsUnderWayCanBeReceivedAfterClosing) {
  for (std::size_t i = 0; i < this->kCapacity; ++i) {
    this->numbers.send(static_cast<int>(i));
  }
  this->numbers.close();
  for (std::size_t i = 0; i < this->kCapacity; ++i) {
    EXPECT_EQ(this->numbers.receive(), static_cast<int>(i));
  }
  EXPECT_FALSE(this->numbers.receive());
}

// Time-outs that race with partners: what a sender was told decides what a receiver got.
TYPED_TEST(Channel, ATimeOutNeverLosesAnElement) {
  std::atomic<int> sent = 0;
  std::atomic<int> received = 0;
  std::atomic<int> senders = 2;
  for (int s = 0; s < 2; ++s) {
    this->crew.start([&] {
      for (int i = 0; i < 300; ++i) {
        sent += this->numbers.send_for(1, std::chrono::microseconds(i % 30)) ? 1 : 0;
        yield();
      }
      if (--senders == 0) {
        this->numbers.close();
      }
    });
    this->crew.start([&] {
      while (!this->numbers.is_closed() || this->numbers.size() > 0) {
        received += this->numbers.receive_for(20us).has_value() ? 1 : 0;
        yield();
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(sent, received);
}

TEST(Channels, CarryWhatOnlyMoves) {
  channel<std::unique_ptr<int>> pointers(1);
  auto first = std::make_unique<int>(1);
  EXPECT_TRUE(pointers.try_send(std::move(first)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(pointers.try_send(std::move(second)));
  EXPECT_NE(second, nullptr) << "what isn't taken stays";
  EXPECT_EQ(**pointers.receive(), 1);
}

}  // namespace
}  // namespace ramie::test

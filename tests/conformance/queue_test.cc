#include <ramie/fiber.h>
#include <ramie/queue.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <numeric>
#include <set>
#include <stdexcept>
#include <utility>
#include <vector>

#include "support/crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

// What every queue does, whatever its order.
template <class Parameters>
class QueueType : public ::testing::Test {
 protected:
  using Queue = typename Parameters::Subject;

  typename Parameters::Crew crew;
};

using Combinations =
    ::testing::Types<With<Fibers, queue<int>>, With<Threads, queue<int>>, With<Mixed, queue<int>>,
                     With<Fibers, lifo_queue<int>>, With<Threads, lifo_queue<int>>,
                     With<Mixed, lifo_queue<int>>, With<Fibers, priority_queue<int>>,
                     With<Threads, priority_queue<int>>, With<Mixed, priority_queue<int>>>;
TYPED_TEST_SUITE(QueueType, Combinations);

TYPED_TEST(QueueType, DeliversEachElementOnce) {
  constexpr int kEach = 200;
  typename TestFixture::Queue queue(3);
  std::atomic<int> producers = 4;
  std::mutex guard;
  std::multiset<int> received;
  for (int p = 0; p < 4; ++p) {
    this->crew.start([&, p] {
      for (int i = 0; i < kEach; ++i) {
        queue.put(p * kEach + i);
        EXPECT_LE(queue.size(), 3U);
      }
      if (--producers == 0) {
        queue.close();
      }
    });
    this->crew.start([&] {
      for (int value : queue) {
        std::lock_guard held(guard);
        received.insert(value);
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(received.size(), 4U * kEach);
  EXPECT_EQ(std::set<int>(received.begin(), received.end()).size(), 4U * kEach);
}

TYPED_TEST(QueueType, AGetWaitsForAPut) {
  typename TestFixture::Queue queue;
  std::atomic<int> got = 0;
  this->crew.start([&] { got = queue.get(); });
  yield();
  EXPECT_EQ(got, 0);
  queue.put(7);
  this->crew.join();
  EXPECT_EQ(got, 7);
  EXPECT_FALSE(queue.try_get());
}

TYPED_TEST(QueueType, APutWaitsWhileItIsFull) {
  typename TestFixture::Queue queue(1);
  queue.put(1);
  EXPECT_TRUE(queue.full());
  EXPECT_FALSE(queue.try_put(2));
  std::atomic<bool> put = false;
  this->crew.start([&] {
    queue.put(3);
    put = true;
  });
  yield();
  EXPECT_FALSE(put);
  EXPECT_EQ(queue.get(), 1);
  this->crew.join();
  EXPECT_EQ(queue.get(), 3);
}

TYPED_TEST(QueueType, TimedFormsEndAtTheirTime) {
  typename TestFixture::Queue queue(1);
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    EXPECT_FALSE(queue.get_for(10ms));
    EXPECT_FALSE(queue.get_until(before));
    EXPECT_TRUE(queue.put_for(1, 10ms));
    EXPECT_FALSE(queue.put_for(2, 10ms));
    EXPECT_FALSE(queue.put_until(2, before));
    EXPECT_FALSE(queue.join_for(10ms));
    EXPECT_GE(std::chrono::steady_clock::now() - before, 30ms);
    EXPECT_EQ(queue.get_for(1min), 1);
  });
  this->crew.join();
}

TYPED_TEST(QueueType, JoinWaitsUntilAllIsDone) {
  typename TestFixture::Queue queue;
  queue.put(1);
  queue.put(2);
  std::atomic<bool> joined = false;
  this->crew.start([&] {
    queue.join();
    joined = true;
  });
  (void)queue.get();
  queue.task_done();
  (void)queue.get();
  yield();
  EXPECT_FALSE(joined);
  EXPECT_EQ(queue.unfinished(), 1U);
  queue.task_done();
  this->crew.join();
  EXPECT_TRUE(joined);
  EXPECT_THROW(queue.task_done(), std::logic_error);
  queue.join();
}

TYPED_TEST(QueueType, ClosingLetsTheRestBeTaken) {
  typename TestFixture::Queue queue;
  queue.put(1);
  queue.put(2);
  queue.close();
  queue.close();
  EXPECT_TRUE(queue.is_closed());
  EXPECT_THROW(queue.put(3), queue_closed);
  EXPECT_THROW((void)queue.try_put(3), queue_closed);
  EXPECT_EQ(queue.get() + queue.get(), 3);
  EXPECT_THROW(queue.get(), queue_closed);
  EXPECT_THROW((void)queue.try_get(), queue_closed);
  EXPECT_THROW((void)queue.get_for(1ms), queue_closed);
  EXPECT_THROW((void)queue.peek(), queue_closed);
}

TYPED_TEST(QueueType, ClosingWakesEverybodyWhoWaits) {
  typename TestFixture::Queue empty;
  typename TestFixture::Queue full(1);
  full.put(1);
  std::atomic<int> begun = 0;
  std::atomic<int> closed = 0;
  for (int i = 0; i < 3; ++i) {
    this->crew.start([&] {
      ++begun;
      EXPECT_THROW(empty.get(), queue_closed);
      ++closed;
    });
    this->crew.start([&] {
      ++begun;
      EXPECT_THROW(full.put(2), queue_closed);
      ++closed;
    });
  }
  ASSERT_TRUE(eventually([&] { return begun == 6; }));
  EXPECT_EQ(closed, 0);
  empty.close();
  full.close();
  this->crew.join();
  EXPECT_EQ(closed, 6);
}

TYPED_TEST(QueueType, ClosingNowDropsTheRestAndEndsTheJoin) {
  typename TestFixture::Queue queue;
  queue.put(1);
  queue.put(2);
  EXPECT_EQ(queue.get() > 0, true);
  std::atomic<bool> joined = false;
  this->crew.start([&] {
    queue.join();
    joined = true;
  });
  queue.close_now();
  EXPECT_TRUE(queue.empty());
  EXPECT_THROW(queue.get(), queue_closed);
  EXPECT_FALSE(joined);
  queue.task_done();  // the one that was taken
  this->crew.join();
  EXPECT_TRUE(joined);
}

TYPED_TEST(QueueType, PeekLeavesTheElementInside) {
  typename TestFixture::Queue queue;
  EXPECT_FALSE(queue.try_peek());
  std::atomic<int> seen = 0;
  this->crew.start([&] { seen = queue.peek(); });
  yield();
  queue.put(5);
  this->crew.join();
  EXPECT_EQ(seen, 5);
  EXPECT_EQ(queue.try_peek(), 5);
  EXPECT_EQ(queue.get(), 5);
}

std::vector<int> drained(auto& queue) {
  queue.close();
  std::vector<int> all;
  for (int value : queue) {
    all.push_back(value);
  }
  return all;
}

TEST(Queues, KeepTheirOrder) {
  queue<int> first_first;
  lifo_queue<int> last_first;
  priority_queue<int> greatest_first;
  priority_queue<int, std::greater<>> least_first;
  for (int value : {3, 1, 4, 1, 5}) {
    first_first.put(value);
    last_first.put(value);
    greatest_first.put(value);
    least_first.put(value);
  }
  EXPECT_EQ(drained(first_first), (std::vector{3, 1, 4, 1, 5}));
  EXPECT_EQ(drained(last_first), (std::vector{5, 1, 4, 1, 3}));
  EXPECT_EQ(drained(greatest_first), (std::vector{5, 4, 3, 1, 1}));
  EXPECT_EQ(drained(least_first), (std::vector{1, 1, 3, 4, 5}));
}

TEST(Queues, EqualPrioritiesKeepTheirOrder) {
  using Job = std::pair<int, int>;
  auto by_first = [](const Job& a, const Job& b) { return a.first < b.first; };
  priority_queue<Job, decltype(by_first)> jobs(0, by_first);
  for (int i = 0; i < 20; ++i) {
    jobs.put({i % 2, i});
  }
  int before = -1;
  for (int i = 0; i < 10; ++i) {
    Job job = jobs.get();
    EXPECT_EQ(job.first, 1);
    EXPECT_GT(job.second, before);
    before = job.second;
  }
}

TEST(Queues, CarryWhatOnlyMoves) {
  queue<std::unique_ptr<int>> queue(1);
  auto first = std::make_unique<int>(1);
  EXPECT_TRUE(queue.try_put(std::move(first)));
  auto second = std::make_unique<int>(2);
  EXPECT_FALSE(queue.try_put(std::move(second)));
  EXPECT_NE(second, nullptr) << "what isn't taken stays";
  EXPECT_EQ(*queue.get(), 1);
}

// Its next move throws, once, where `fails` is set.
struct Fragile {
  explicit Fragile(bool* to_fail) : fails(to_fail) {}
  Fragile(Fragile&& other) : fails(other.fails) {
    if (std::exchange(*fails, false)) {
      throw std::runtime_error("no move");
    }
  }
  bool* fails;
};

TEST(Queues, APutThatThrowsLeavesThePlaceToTheNext) {
  bool fails = false;
  queue<Fragile> queue(1);
  queue.put(Fragile(&fails));
  fiber<void> first = spawn([&] { queue.put(Fragile(&fails)); });
  fiber<void> second = spawn([&] { queue.put(Fragile(&fails)); });
  yield();
  (void)queue.get();
  fails = true;
  EXPECT_THROW(first.get(), std::runtime_error);
  yield();
  EXPECT_EQ(queue.size(), 1U);
  queue.close();
  EXPECT_NO_THROW(second.get());
}

TEST(Queues, AGetThatThrowsLeavesTheElementToTheNext) {
  bool fails = false;
  queue<Fragile> queue;
  fiber<void> first = spawn([&] { (void)queue.get(); });
  fiber<void> second = spawn([&] { (void)queue.get(); });
  yield();
  queue.put(Fragile(&fails));
  fails = true;
  EXPECT_THROW(first.get(), std::runtime_error);
  yield();
  EXPECT_EQ(queue.size(), 0U);
  queue.close_now();
  EXPECT_NO_THROW(second.get());
}

}  // namespace
}  // namespace ramie::test

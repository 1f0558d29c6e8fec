// Each wait of the exchange and of the later locks can be cancelled, and leaves nothing behind.
#include <gtest/gtest.h>
#include <ramie/barrier.h>
#include <ramie/cancel.h>
#include <ramie/condition_variable_any.h>
#include <ramie/future.h>
#include <ramie/latch.h>
#include <ramie/once.h>
#include <ramie/queue.h>
#include <ramie/recursive_mutex.h>
#include <ramie/select.h>
#include <ramie/shared_mutex.h>
#include <ramie/timeout.h>

#include <atomic>
#include <mutex>
#include <string>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

struct Things {
  Things() {
    recursive.lock();
    shared.lock();
    full.put(1);
  }

  recursive_mutex recursive;
  shared_mutex shared;
  mutex free;
  condition_variable_any changed;
  latch closed{1};
  barrier<> meeting{2};
  queue<int> empty;
  queue<int> full{1};
  channel<int> numbers;
  promise<int> promised;
  shared_future<int> coming = promised.get_future();
};

struct Way {
  const char* name;
  void (*wait)(Things&);
};

const Way kWays[] = {
    {"RecursiveMutex", [](Things& all) { all.recursive.lock(); }},
    {"SharedMutex", [](Things& all) { all.shared.lock(); }},
    {"SharedMutexFor", [](Things& all) { (void)all.shared.try_lock_for(1h); }},
    {"Reader", [](Things& all) { all.shared.lock_shared(); }},
    {"Condition",
     [](Things& all) {
       std::unique_lock lock(all.free);
       all.changed.wait(lock, [] { return false; });
     }},
    {"Latch", [](Things& all) { all.closed.wait(); }},
    {"Barrier", [](Things& all) { all.meeting.arrive_and_wait(); }},
    {"Get", [](Things& all) { all.empty.get(); }},
    {"GetFor", [](Things& all) { (void)all.empty.get_for(1h); }},
    {"Put", [](Things& all) { all.full.put(2); }},
    {"QueueJoin", [](Things& all) { all.full.join(); }},
    {"Receive", [](Things& all) { (void)all.numbers.receive(); }},
    {"SendFor", [](Things& all) { (void)all.numbers.send_for(1, 1h); }},
    {"Select",
     [](Things& all) {
       std::optional<int> number;
       select(on_receive(all.numbers, number), on_timeout(1h));
     }},
    {"Future", [](Things& all) { all.coming.get(); }},
};

class CancelledWaits : public ::testing::TestWithParam<Way> {};

TEST_P(CancelledWaits, ThrowInTheWaitThatIsUnderWay) {
  Things all;
  fiber<void> waiter = spawn([&] { GetParam().wait(all); });
  yield();
  waiter.cancel();
  EXPECT_THROW(waiter.get(), cancelled);
}

TEST_P(CancelledWaits, EndWithATimeOutScope) {
  Things all;
  fiber<void> waiter = spawn([&] {
    timeout limit(5ms);
    GetParam().wait(all);
  });
  EXPECT_THROW(waiter.get(), timeout_error);
}

TEST_P(CancelledWaits, LeaveNothingBehind) {
  Things all;
  fiber<void> waiter = spawn([&] { GetParam().wait(all); });
  yield();
  waiter.cancel();
  waiter.join();
  EXPECT_FALSE(all.numbers.try_send(1));
  EXPECT_FALSE(all.numbers.try_receive());
  EXPECT_TRUE(all.free.try_lock());
  all.shared.unlock();
  EXPECT_TRUE(all.shared.try_lock());
  all.empty.put(1);
  EXPECT_EQ(all.empty.get(), 1);
  EXPECT_EQ(all.full.get(), 1);
  EXPECT_FALSE(all.full.try_get());
}

INSTANTIATE_TEST_SUITE_P(Ways, CancelledWaits, ::testing::ValuesIn(kWays),
                         [](const auto& each) { return std::string(each.param.name); });

TEST(CancelledCallOnce, LeavesItToTheNext) {
  once_flag flag;
  event go;
  fiber<void> first = spawn([&] { call_once(flag, [&] { go.wait(); }); });
  yield();
  fiber<void> second = spawn([&] { call_once(flag, [] {}); });
  yield();
  second.cancel();
  EXPECT_THROW(second.get(), cancelled);
  first.cancel();
  EXPECT_THROW(first.get(), cancelled);
  bool called = false;
  call_once(flag, [&] { called = true; });
  EXPECT_TRUE(called);
}

// A writer that is cancelled lets the readers behind it in.
TEST(CancelledWriter, HoldsNobodyUp) {
  shared_mutex lock;
  lock.lock_shared();
  fiber<void> writer = spawn([&] { lock.lock(); });
  yield();
  fiber<void> reader = spawn([&] {
    lock.lock_shared();
    lock.unlock_shared();
  });
  yield();
  EXPECT_FALSE(reader.ready());
  writer.cancel();
  reader.get();
  lock.unlock_shared();
}

// Each element is either received, or its sender was told that it was not sent.
TEST(CancelledSends, RaceWithReceivesWithoutLosingElements) {
  for (int round = 0; round < 200; ++round) {
    channel<int> numbers;
    std::atomic<int> sent = 0;
    std::vector<fiber<void>> senders;
    for (int i = 0; i < 4; ++i) {
      senders.push_back(spawn([&] {
        numbers.send(1);
        ++sent;
      }));
    }
    std::atomic<int> received = 0;
    std::thread receiver([&] {
      while (numbers.receive_for(1ms)) {
        ++received;
      }
    });
    for (auto& sender : senders) {
      yield();
      sender.cancel();
    }
    for (auto& sender : senders) {
      sender.join();
    }
    numbers.close();
    receiver.join();
    ASSERT_EQ(sent, received);
  }
}

}  // namespace
}  // namespace ramie::test

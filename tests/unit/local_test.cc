#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/local.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

TEST(FiberLocal, EachFiberHasItsOwnValue) {
  fiber_local<int> number;
  auto count = [&](int step) {
    for (int i = 0; i < 5; ++i) {
      *number += step;
      yield();
    }
    return *number;
  };
  *number = 100;
  fiber<int> ones = spawn(count, 1);
  fiber<int> tens = spawn(count, 10);
  EXPECT_EQ(ones.get(), 5);
  EXPECT_EQ(tens.get(), 50);
  EXPECT_EQ(*number, 100);
}

TEST(FiberLocal, KernelThreadsHaveTheirOwnToo) {
  fiber_local<std::string> name;
  *name = "main";
  std::thread([&] {
    EXPECT_FALSE(name.has_value());
    *name = "thread";
    spawn([&] { EXPECT_EQ(*name, ""); }).get();
    EXPECT_EQ(*name, "thread");
  }).join();
  EXPECT_EQ(*name, "main");
}

struct Noted {
  std::string* trace;
  char letter;
  Noted(std::string* t, char c) : trace(t), letter(c) {}
  Noted(const Noted&) = delete;
  ~Noted() { *trace += letter; }
};

TEST(FiberLocal, DestroysValuesAtTheEndOfTheFiberTheNewestFirst) {
  std::string trace;
  fiber_local<std::unique_ptr<Noted>> a;
  fiber_local<std::unique_ptr<Noted>> b([&] { return std::make_unique<Noted>(&trace, 'b'); });
  fiber<void> worker = spawn([&] {
    *a = std::make_unique<Noted>(&trace, 'a');
    (void)*b;
    trace += '.';
  });
  worker.join();
  EXPECT_EQ(trace, ".ba");
}

TEST(FiberLocal, DestructorsRunOnTheFiberAndMayWaitAndMakeOthers) {
  fiber_local<int> second;
  std::uint64_t where = 0;
  struct Waits {
    fiber_local<int>* other = nullptr;
    std::uint64_t* where = nullptr;
    ~Waits() {
      if (other != nullptr) {
        sleep_for(1ms);
        **other = 1;
        *where = this_fiber::id();
      }
    }
  };
  fiber_local<Waits> first;
  fiber<void> worker = spawn([&] {
    first->where = &where;
    first->other = &second;
  });
  worker.join();
  EXPECT_EQ(where, worker.id());
}

TEST(FiberLocal, DestroysValuesWhenTheFiberThrows) {
  std::string trace;
  fiber_local<std::unique_ptr<Noted>> local;
  fiber<void> worker = spawn([&] {
    *local = std::make_unique<Noted>(&trace, 'x');
    throw 1;
  });
  EXPECT_THROW(worker.get(), int);
  EXPECT_EQ(trace, "x");
}

TEST(FiberLocal, ResetDestroysAndStartsAnew) {
  std::string trace;
  fiber_local<std::unique_ptr<Noted>> local;
  *local = std::make_unique<Noted>(&trace, 'x');
  local.reset();
  EXPECT_EQ(trace, "x");
  EXPECT_FALSE(local.has_value());
  EXPECT_EQ(*local, nullptr);
}

TEST(FiberLocal, AnObjectAtTheSamePlaceFindsNoOldValues) {
  alignas(fiber_local<int>) unsigned char place[sizeof(fiber_local<int>)];
  auto* first = new (place) fiber_local<int>;
  **first = 5;
  first->~fiber_local();
  auto* next = new (place) fiber_local<int>;
  EXPECT_EQ(**next, 0);
  next->~fiber_local();
}

context_value<std::string> user;
context_value<int> depth;

TEST(Context, IsInheritedAsItWasAtTheSpawn) {
  fiber<std::string> worker;
  fiber<std::string> child_of_worker;
  {
    context_scope as(user, "anna");
    worker = spawn([&] {
      child_of_worker = spawn([] { return user.get_or("nobody"); });
      context_scope inner(user, "berta");
      yield();
      return user.get_or("nobody");
    });
  }
  EXPECT_EQ(user.find(), nullptr);
  context_scope as(user, "carla");
  EXPECT_EQ(worker.get(), "berta");
  EXPECT_EQ(child_of_worker.get(), "anna");
  EXPECT_EQ(*user.find(), "carla");
}

TEST(Context, ScopesNestAndDifferentValuesDoNotMix) {
  context_scope one(depth, 1);
  context_scope as(user, "anna");
  {
    context_scope two(depth, 2);
    EXPECT_EQ(*depth.find(), 2);
    EXPECT_EQ(*user.find(), "anna");
  }
  EXPECT_EQ(*depth.find(), 1);
}

TEST(Context, DoesNotReachOtherThreadsOfTheKernel) {
  context_scope one(depth, 1);
  std::thread([] { EXPECT_EQ(depth.find(), nullptr); }).join();
}

TEST(Context, LivesAsLongAsAFiberThatInheritedIt) {
  static context_value<std::shared_ptr<int>> shared;
  auto value = std::make_shared<int>(1);
  fiber<int> worker;
  {
    context_scope bound(shared, value);
    worker = spawn([] {
      sleep_for(2ms);
      return **shared.find();
    });
  }
  EXPECT_EQ(value.use_count(), 2);
  EXPECT_EQ(worker.get(), 1);
  EXPECT_EQ(value.use_count(), 1);
}

}  // namespace
}  // namespace ramie::test

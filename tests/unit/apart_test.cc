// Carriers apart from the crew: whose fibers they run, whom they leave to others, and how they end.
#include "core/apart.h"

#include <gtest/gtest.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <thread>
#include <vector>

#include "base/deadline.h"
#include "core/crew.h"
#include "core/park.h"
#include "core/scheduler.h"

namespace ramie::core {
namespace {

constexpr size_t kStackSize = 256UL * 1024;
constexpr int kRounds = 2000;

// Lets the calling carrier's fibers run.  The limit only keeps a broken test from hanging.
template <class Condition>
bool comes_true(Condition condition) {
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(60);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
    (void)sleep_until(base::Deadline::after(base::now(), 100'000));
  }
  return true;
}

// A fiber that parks again and again, and is woken by its number of the round.
struct Parker {
  std::unique_ptr<char[]> stack{new char[kStackSize]};
  WholeFiber fiber;
  std::atomic<Ticket*> waits = nullptr;
  std::atomic<int> rounds = 0;
  std::atomic<int> strays = 0;  // how often it ran on another kernel thread than it should
  std::atomic<int> tid = 0;     // of that one; 0: any
  std::atomic<bool> ended = false;
  Parker* wakes = nullptr;  // whom it wakes in each round
  Carrier* ends = nullptr;  // the carrier that ends with it

  void prepare(Carrier* home, uintptr_t fs_base) {
    fiber.stack = {stack.get(), kStackSize};
    fiber.entry = [](Fiber& self) { static_cast<Parker*>(self.argument)->run(); };
    fiber.argument = this;
    fiber.fs_base = fs_base;
    fiber.home.store(home, std::memory_order_relaxed);
    fiber.context = make_context(fiber.stack.top(), fiber.stack.size, fiber_main);
    fiber.sanitizer.create(fiber.stack.base, fiber.stack.size);
  }

  void run() {
    for (int i = 0; i < kRounds; ++i) {
      Ticket ticket = prepare_park();
      waits.store(&ticket, std::memory_order_release);
      (void)park({});
      strays += tid != 0 && gettid() != tid ? 1 : 0;
      rounds.store(i + 1, std::memory_order_release);
      if (wakes != nullptr) {
        wakes->wake();
      }
    }
    if (ends != nullptr) {
      end_apart(*ends);
    }
    exit_current({[](void* flag) { static_cast<std::atomic<bool>*>(flag)->store(true); }, &ended});
  }

  // True if it was parked and is awake now.
  bool wake() {
    RuntimeSection section(*current());
    return wake_from_outside();
  }
  bool wake_from_outside() {
    Ticket* ticket = waits.exchange(nullptr, std::memory_order_acquire);
    return ticket != nullptr && unpark(*ticket);
  }
};

bool has_ended(const Carrier& carrier) { return carrier.role.load() == Role::ended; }

TEST(Apart, RunsItsFiberAndNobodyElseDoes) {
  (void)attach();
  Carrier* carrier = start_apart(Heir::of_caller);
  ASSERT_NE(carrier, nullptr);
  EXPECT_NE(carrier->kernel_tid, gettid());
  Parker bound;
  bound.tid = carrier->kernel_tid;
  bound.ends = carrier;
  bound.prepare(carrier, carrier->loop.fs_base);
  EXPECT_EQ(home_apart(bound.fiber), carrier);
  make_ready(bound.fiber);
  // By threads that are no carriers.
  std::vector<std::thread> wakers;
  wakers.reserve(2);
  for (int i = 0; i < 2; ++i) {
    wakers.emplace_back([&bound] {
      while (!bound.ended.load()) {
        if (!bound.wake_from_outside()) {
          std::this_thread::yield();
        }
      }
    });
  }
  for (auto& waker : wakers) {
    waker.join();
  }
  EXPECT_EQ(bound.rounds, kRounds);
  EXPECT_EQ(bound.strays, 0);
  EXPECT_TRUE(comes_true([carrier] { return has_ended(*carrier); }));
}

TEST(Apart, LeavesToTheCrewWhatItMakesReady) {
  Carrier& crew_carrier = attach();
  Carrier* carrier = start_apart(Heir::of_crew);
  ASSERT_NE(carrier, nullptr);
  Parker bound;
  Parker free;
  bound.tid = carrier->kernel_tid;
  bound.ends = carrier;
  bound.wakes = &free;
  bound.prepare(carrier, carrier->loop.fs_base);
  free.tid = gettid();
  free.wakes = &bound;
  free.prepare(nullptr, crew_carrier.loop.fs_base);
  make_ready(bound.fiber);
  {
    RuntimeSection section(*current());
    make_ready(free.fiber);
  }
  // Either may come too early for the other one's ticket: then it is woken from here.
  EXPECT_TRUE(comes_true([&] {
    (void)bound.wake();
    (void)free.wake();
    return bound.ended.load() && free.ended.load();
  }));
  EXPECT_EQ(bound.strays, 0);
  EXPECT_EQ(free.strays, 0);
  EXPECT_TRUE(carrier->ready.empty());
  EXPECT_TRUE(comes_true([carrier] { return has_ended(*carrier); }));
}

TEST(Apart, IsUsedAgainByAnotherKernelThread) {
  (void)attach();
  size_t before = 0;
  for (Carrier* one = carriers(); one != nullptr; one = one->next_carrier) {
    ++before;
  }
  for (int i = 0; i < 20; ++i) {
    Carrier* carrier = start_apart(Heir::of_caller);
    ASSERT_NE(carrier, nullptr);
    end_apart(*carrier);
    ASSERT_TRUE(comes_true([carrier] { return has_ended(*carrier); }));
  }
  size_t after = 0;
  for (Carrier* one = carriers(); one != nullptr; one = one->next_carrier) {
    ++after;
  }
  // The kernel may clear a thread's id a little later than it is said to have ended.
  EXPECT_LE(after, before + 10);
}

TEST(Apart, ACarrierOfTheCrewLeavesAndComesBack) {
  Carrier& carrier = attach();
  std::atomic<bool> is_there = false;
  std::atomic<bool> is_over = false;
  std::thread other([&] {
    (void)attach();
    is_there = true;
    EXPECT_TRUE(comes_true([&] { return is_over.load(); }));
    retire();
  });
  ASSERT_TRUE(comes_true([&] { return is_there.load(); }));
  uint32_t active = crew.active.load();
  EXPECT_TRUE(leave_crew(carrier));
  EXPECT_EQ(home_apart(carrier.thread), &carrier);
  EXPECT_EQ(crew.active.load(), active - 1);
  EXPECT_FALSE(carrier.ready.push(&carrier.thread));
  (void)sleep_until(base::Deadline::after(base::now(), 1'000'000));
  EXPECT_EQ(carrier.role.load(), Role::apart);
  join_crew(carrier);
  EXPECT_EQ(home_apart(carrier.thread), nullptr);
  EXPECT_EQ(crew.active.load(), active);
  is_over = true;
  other.join();
}

}  // namespace
}  // namespace ramie::core

// Carriers without a watchdog, and a poller that this test makes up: somebody is always in it.
#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <semaphore>
#include <thread>

#include "core/crew.h"
#include "core/park.h"
#include "core/poller.h"
#include "core/scheduler.h"
#include "support/kernel_thread_state.h"

namespace ramie::core {
namespace {

std::atomic<int> other_tid = 0;
std::atomic<Carrier*> other = nullptr;
std::atomic<bool> first_is_in_poller = false;
std::atomic<bool> other_is_in_poller = false;
std::binary_semaphore ended{0};

// The limit only keeps a broken test from hanging.
template <class Condition>
bool comes_true(Condition condition) {
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
    std::this_thread::yield();
  }
  return true;
}

bool wait_in_poller(base::Deadline deadline, tls::Cpu&, const std::atomic<uint64_t>*) {
  if (gettid() == other_tid) {
    other_is_in_poller = true;
    if (deadline.is_never()) {
      ended.acquire();
    }
  } else {
    first_is_in_poller = true;
    EXPECT_TRUE(comes_true([] {
      Carrier* carrier = other;
      return carrier != nullptr && carrier->sleeping == kInFutex && test::is_asleep(other_tid);
    }));
  }
  return false;
}

constexpr Poller kPoller{wait_in_poller, [] { ended.release(); }, [] { return true; }};

TEST(Polling, IsHandedOverByACarrierThatOnlyLooksAtEvents) {
  attach();
  set_poller(&kPoller);
  Ticket ticket;
  std::thread thread([&] {
    EXPECT_TRUE(comes_true([] { return first_is_in_poller.load(); }));
    other_tid = gettid();
    other = &attach();
    ticket = prepare_park();
    (void)park({WaitKind::none, 0});
  });
  yield();
  // From here on this carrier runs nothing but this fiber, which never switches.
  EXPECT_TRUE(comes_true([] { return other_is_in_poller.load(); }));
  EXPECT_TRUE(unpark(ticket));
  thread.join();
}

Ticket in_poller;
int wakes = 0;

TEST(Polling, ACarrierThatComesOutOfThePollerDoesNotCallItself) {
  std::thread([] {
    attach();
    crew.limit = 0;  // nobody else is called
    static constexpr Poller kOneEvent{[](base::Deadline, tls::Cpu&, const std::atomic<uint64_t>*) {
                                        EXPECT_GT(crew.idle, 0U);
                                        (void)unpark(in_poller);
                                        return true;
                                      },
                                      [] { ++wakes; }, [] { return true; }};
    set_poller(&kOneEvent);
    Carrier* home = current()->home.exchange(nullptr);  // a fiber that any carrier might run
    in_poller = prepare_park();
    EXPECT_EQ(park({WaitKind::none, 0}), Wake::unparked);
    EXPECT_EQ(wakes, 0);
    EXPECT_EQ(crew.searching, 0U);
    current()->home = home;
    set_poller(&kPoller);
  }).join();
}

TEST(Retire, HandsOnWhatWasReady) {
  crew.limit = 0;  // nobody is called
  std::thread thread([] {
    Carrier& carrier = attach();
    static WholeFiber fiber;
    enqueue(carrier, fiber);
    retire();
    EXPECT_TRUE(carrier.ready.empty());
    EXPECT_TRUE(carrier.gone);
    EXPECT_TRUE(carrier.retired);
    EXPECT_FALSE(crew.shared.empty());
  });
  thread.join();
  crew.shared.reset();
}

TEST(Retire, ACarrierWithFibersOfItsOwnIsGoneAndStaysSo) {
  crew.limit = 0;
  Carrier* carrier = nullptr;
  std::thread([&] {
    carrier = &attach();
    carrier->light_fibers.fetch_add(1);
    retire();
  }).join();
  EXPECT_TRUE(carrier->gone);
  EXPECT_FALSE(carrier->retired);
  std::thread([&] { EXPECT_NE(carrier, &attach()); }).join();
}

}  // namespace
}  // namespace ramie::core

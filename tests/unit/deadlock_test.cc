#include "event/deadlock.h"

#include <gtest/gtest.h>
#include <ramie/background.h>
#include <ramie/fiber.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <functional>
#include <string>
#include <thread>

#include "core/carrier.h"
#include "core/crew.h"
#include "core/park.h"
#include "event/reactor.h"
#include "support/child_output.h"
#include "support/fiber_group.h"
#include "support/kernel_thread_state.h"

using ramie::test::ChildOutput;
using ramie::test::FiberGroup;
using ramie::test::in_millis;

namespace {

// Runs `work` in a process of its own with RAMIE_DEADLOCK=action.
ChildOutput run(const char* action, const std::function<void()>& work) {
  return ramie::test::run_in_child([&] {
    setenv("RAMIE_DEADLOCK", action, 1);
    ramie::event::install_deadlock_report();
    work();
  });
}

size_t count(const std::string& text, const std::string& part) {
  size_t n = 0;
  for (size_t at = 0; (at = text.find(part, at)) != std::string::npos; at += part.size()) {
    ++n;
  }
  return n;
}

// Two fibers park for ever, the main one waits for them; a signal ends the process.
void stand_still() {
  FiberGroup fibers;
  for (uint64_t address : {0x1000, 0x2000}) {
    fibers.spawn([address] {
      strcpy(ramie::core::current()->name, "stuck");
      (void)ramie::core::prepare_park();
      (void)ramie::core::park({ramie::core::WaitKind::address, address});
    });
  }
  fibers.join();
}

TEST(Deadlock, AStandstillIsReportedOnce) {
  ChildOutput outcome = run("report", [] {
    signal(SIGALRM, [](int) { _exit(3); });
    // Signals that wake the carrier and no fiber don't make it another standstill.
    std::thread([main = getpid()] {
      while (!ramie::test::is_asleep(main)) {
        usleep(1'000);
      }
      for (int i = 0; i < 5; ++i) {
        usleep(2'000);
        kill(main, SIGCHLD);
      }
      kill(main, SIGALRM);
    }).detach();
    signal(SIGCHLD, [](int) {});
    stand_still();
  });
  EXPECT_EQ(WEXITSTATUS(outcome.status), 3);
  EXPECT_EQ(count(outcome.text, "(stuck) waits for address 0x1000, since 0 s\n"), 1U);
  EXPECT_EQ(count(outcome.text, "(stuck) waits for address 0x2000, since 0 s\n"), 1U);
  EXPECT_EQ(count(outcome.text, "(the thread's own) waits for the end of fiber"), 1U);
  EXPECT_EQ(count(outcome.text, "ramie: deadlock: 3 fibers are parked and nothing can wake them\n"),
            1U)
      << outcome.text;
}

TEST(Deadlock, AbortEndsTheProcess) {
  ChildOutput outcome = run("abort", stand_still);
  EXPECT_TRUE(WIFSIGNALED(outcome.status));
  EXPECT_EQ(WTERMSIG(outcome.status), SIGABRT);
  EXPECT_EQ(count(outcome.text, "3 fibers are parked"), 1U);
}

TEST(Deadlock, WhatWaitsForADescriptorOrTheTimeIsNone) {
  ChildOutput outcome = run("abort", [] {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    FiberGroup fibers;
    fibers.spawn([&] {
      EXPECT_EQ(ramie::event::wait_fd(fds[0], POLLIN, ramie::base::Deadline::never()), 0);
    });
    fibers.spawn([&] {
      (void)ramie::core::sleep_until(in_millis(5));
      std::thread([&] {
        usleep(5'000);
        (void)!write(fds[1], "x", 1);
      }).detach();
    });
    fibers.join();
  });
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.text, "");
}

// A sleeper in the background does not hide it, and its turns don't make it another one.
TEST(Deadlock, SleepersInTheBackgroundDontCount) {
  ChildOutput outcome = run("report", [] {
    signal(SIGALRM, [](int) { _exit(3); });
    ramie::spawn([] {
      for (int i = 0; i < 5; ++i) {
        ramie::sleep_in_background(std::chrono::milliseconds(2));
      }
      kill(getpid(), SIGALRM);
    }).detach();
    stand_still();
  });
  EXPECT_EQ(WEXITSTATUS(outcome.status), 3);
  EXPECT_EQ(count(outcome.text, "ramie: deadlock: 3 fibers are parked and nothing can wake them\n"),
            1U)
      << outcome.text;
}

TEST(Deadlock, WhatTheTimerOfAnotherCarrierWillEndIsNone) {
  ChildOutput outcome = run("abort", [] {
    ramie::core::attach();
    ramie::core::Ticket ticket = ramie::core::prepare_park();
    std::atomic<ramie::core::Carrier*> other = nullptr;
    std::thread sleeper([&] {
      other = &ramie::core::attach();
      (void)ramie::core::sleep_until(in_millis(200));
      EXPECT_TRUE(ramie::core::unpark(ticket));
    });
    while (other == nullptr || other.load()->sleeping == ramie::core::kAwake) {
      std::this_thread::yield();
    }
    (void)ramie::core::park({ramie::core::WaitKind::address, 0x1000});
    sleeper.join();
  });
  EXPECT_EQ(outcome.status, 0);
  EXPECT_EQ(outcome.text, "");
}

TEST(Deadlock, OffIsSilent) {
  ChildOutput outcome = run("off", [] {
    signal(SIGALRM, [](int) { _exit(3); });
    ualarm(20'000, 0);
    stand_still();
  });
  EXPECT_EQ(WEXITSTATUS(outcome.status), 3);
  EXPECT_EQ(outcome.text, "");
}

}  // namespace

// What the poller by epoll promises (event/poller_epoll.h), asked by itself.
#include "event/poller.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "core/carrier.h"
#include "core/scheduler.h"
#include "event/poller_epoll.h"

using ramie::base::Deadline;
using ramie::base::now;
using ramie::event::kEverything;
namespace epoll = ramie::event::epoll;

namespace {

struct Report {
  int fd;
  uint32_t generation;
  uint32_t events;
};

std::vector<Report> reports;

void record(int fd, uint32_t generation, uint32_t events) {
  reports.push_back({fd, generation, events});
}

class Poller : public testing::Test {
 protected:
  void SetUp() override {
    static const int opened = epoll::open();
    ASSERT_EQ(opened, 0);
    ramie::event::set_descriptor_handler(record);
    ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends_), 0);
    look();
    reports.clear();
  }
  void TearDown() override {
    for (int fd : ends_) {
      if (fd >= 0) {
        ::close(fd);
      }
    }
  }

  [[nodiscard]] long watch(int fd, uint32_t generation) const {
    return epoll::watch(fd, kEverything, tag(fd, generation));
  }
  static void unwatch(int fd) { epoll::unwatch(fd); }
  bool wait(Deadline deadline, const std::atomic<uint64_t>* mask = nullptr) const {
    return epoll::wait(deadline, ramie::core::attach().cpu, mask);
  }
  void look() const { (void)wait(Deadline::at(0)); }

  // Waits until the descriptor was reported for all of `events`; the limit keeps a broken test from
  // hanging.
  bool is_reported(int fd, uint32_t generation, uint32_t events) const {
    Deadline limit = Deadline::after(now(), 30'000'000'000);
    for (;;) {
      uint32_t found = 0;
      for (const Report& report : reports) {
        found |= report.fd == fd && report.generation == generation ? report.events : 0;
      }
      if ((found & events) == events) {
        return true;
      }
      if (limit.passed(now())) {
        return false;
      }
      (void)wait(limit);
    }
  }

  static uint64_t tag(int fd, uint32_t generation) {
    return static_cast<uint64_t>(generation) << 32 | static_cast<uint32_t>(fd);
  }

  int ends_[2] = {-1, -1};
};

TEST_F(Poller, WhatIsTrueAlreadyIsAnEvent) {
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  ASSERT_EQ(watch(ends_[0], 7), 0);
  EXPECT_TRUE(is_reported(ends_[0], 7, EPOLLIN | EPOLLOUT));
  unwatch(ends_[0]);
}

std::atomic<int> handled = 0;

TEST_F(Poller, AMaskLetsSignalsInForTheCallAloneAndUnlessThereIsAnEvent) {
  ASSERT_NE(signal(SIGUSR1, [](int) { ++handled; }), SIG_ERR);
  sigset_t one;
  sigemptyset(&one);
  sigaddset(&one, SIGUSR1);
  ASSERT_EQ(pthread_sigmask(SIG_BLOCK, &one, nullptr), 0);
  ASSERT_EQ(raise(SIGUSR1), 0);
  EXPECT_FALSE(wait(Deadline::after(now(), 1'000'000)));
  EXPECT_EQ(handled, 0);
  std::atomic<uint64_t> nothing = 0;
  ASSERT_EQ(watch(ends_[0], 1), 0);
  EXPECT_TRUE(wait(Deadline::never(), &nothing));
  EXPECT_EQ(handled, 0);
  EXPECT_FALSE(wait(Deadline::never(), &nothing));
  EXPECT_EQ(handled, 1);
  ASSERT_EQ(raise(SIGUSR1), 0);
  EXPECT_EQ(handled, 1);
  ASSERT_EQ(pthread_sigmask(SIG_UNBLOCK, &one, nullptr), 0);
  EXPECT_EQ(handled, 2);
  unwatch(ends_[0]);
}

TEST_F(Poller, AnEventIsReportedOnceThoughNobodyTookIt) {
  ASSERT_EQ(watch(ends_[0], 1), 0);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLOUT));
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLIN));
  reports.clear();
  look();
  EXPECT_TRUE(reports.empty());
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLIN))
      << "there is more, though the first is still there";
  unwatch(ends_[0]);
}

TEST_F(Poller, InputIsNotTakenForUrgent) {
  ASSERT_EQ(watch(ends_[0], 1), 0);
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLIN));
  for (const Report& report : reports) {
    EXPECT_EQ(report.events & EPOLLPRI, 0U);
  }
  unwatch(ends_[0]);
}

TEST_F(Poller, TheOtherSidesEndIsReported) {
  ASSERT_EQ(watch(ends_[0], 1), 0);
  shutdown(ends_[1], SHUT_WR);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLIN | EPOLLRDHUP));
  ::close(std::exchange(ends_[1], -1));
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLHUP));
  unwatch(ends_[0]);
}

TEST_F(Poller, AFullBufferThatEmptiesIsReported) {
  ASSERT_EQ(watch(ends_[0], 1), 0);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLOUT));
  char block[4096] = {};
  while (send(ends_[0], block, sizeof block, 0) > 0) {
  }
  look();
  reports.clear();
  while (recv(ends_[1], block, sizeof block, 0) > 0) {
  }
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLOUT));
  unwatch(ends_[0]);
}

TEST_F(Poller, TheDeadlineEndsTheWaitAndNotBefore) {
  int64_t before = now();
  Deadline deadline = Deadline::after(before, 10'000'000);
  wait(deadline);
  EXPECT_TRUE(deadline.passed(now()));
  wait(Deadline::at(1));
  EXPECT_TRUE(reports.empty());
}

TEST_F(Poller, AWakeUpBeforeTheWaitEndsIt) {
  epoll::wake();
  wait(Deadline::never());
  EXPECT_TRUE(reports.empty());
}

TEST_F(Poller, AWakeUpEndsTheWaitThatIsUnderWay) {
  for (int i = 0; i < 20; ++i) {
    std::thread other([&] { epoll::wake(); });
    wait(Deadline::never());
    other.join();
  }
  EXPECT_TRUE(reports.empty());
}

TEST_F(Poller, WhatHasNoReadinessIsRefused) {
  FILE* file = tmpfile();
  EXPECT_EQ(watch(fileno(file), 1), -EPERM);
  EXPECT_EQ(watch(-1, 1), -EBADF);
  int closed = fileno(file);
  fclose(file);
  EXPECT_EQ(watch(closed, 1), -EBADF);
}

TEST_F(Poller, WhatIsNotWatchedAnyMoreIsNotReported) {
  ASSERT_EQ(watch(ends_[0], 1), 0);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLOUT));
  unwatch(ends_[0]);
  look();
  reports.clear();
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  look();
  EXPECT_TRUE(reports.empty());
  unwatch(ends_[0]);  // in vain, which is no error
}

TEST_F(Poller, ANumbersNextUserIsKnownByItsGeneration) {
  ASSERT_EQ(watch(ends_[0], 1), 0);
  unwatch(ends_[0]);
  look();
  reports.clear();
  ASSERT_EQ(watch(ends_[0], 2), 0);
  EXPECT_TRUE(is_reported(ends_[0], 2, EPOLLOUT));
  for (const Report& report : reports) {
    EXPECT_EQ(report.generation, 2U);
  }
  unwatch(ends_[0]);
}

// What another thread registered is closed when close() returns: the other side sees it at once.
TEST_F(Poller, AFileIsNotHeldAfterItIsUnwatched) {
  std::atomic<int> step = 0;
  std::thread other([&] {
    EXPECT_EQ(watch(ends_[0], 1), 0);
    step = 1;
    step.notify_all();
    step.wait(1);
  });
  step.wait(0);
  unwatch(ends_[0]);
  ::close(std::exchange(ends_[0], -1));
  pollfd peer{ends_[1], POLLIN, 0};
  EXPECT_EQ(poll(&peer, 1, 30'000), 1);
  EXPECT_NE(peer.revents & POLLHUP, 0);
  step = 2;
  step.notify_all();
  other.join();
}

TEST_F(Poller, ARegistrationOutlivesTheThreadThatMadeIt) {
  std::thread([&] { EXPECT_EQ(watch(ends_[0], 1), 0); }).join();
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLOUT));
  ASSERT_EQ(write(ends_[1], "x", 1), 1);
  EXPECT_TRUE(is_reported(ends_[0], 1, EPOLLIN));
  unwatch(ends_[0]);
}

}  // namespace

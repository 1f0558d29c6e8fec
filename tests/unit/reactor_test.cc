#include "event/reactor.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <array>
#include <string>
#include <thread>
#include <vector>

#include "core/carrier.h"
#include "event/poller.h"
#include "support/descriptor_pair.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::base::now;
using ramie::event::forget;
using ramie::event::forget_again;
using ramie::event::forget_range;
using ramie::event::is_ours;
using ramie::event::wait_fd;
using ramie::event::wait_fds;
using Pair = ramie::test::DescriptorPair;
using ramie::test::eventually;
using ramie::test::FiberGroup;
using ramie::test::in_millis;
using ramie::test::read_some;

namespace {

uint64_t parks() { return ramie::core::attach().parks; }

TEST(Reactor, AFiberParksUntilDataComes) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  char got = 0;
  uint64_t before = parks();
  fibers.spawn([&] { EXPECT_EQ(read_some(pipe.a, &got, 1), 1); });
  fibers.spawn([&] {
    EXPECT_EQ(got, 0);
    EXPECT_EQ(write(pipe.b, "x", 1), 1);
  });
  fibers.join();
  EXPECT_EQ(got, 'x');
  EXPECT_GE(parks(), before + 1);
  pipe.close();
}

TEST(Reactor, ItsDescriptorsAreHighAndKnownAsOurs) {
  Pair pipe = Pair::pipe();
  EXPECT_LT(pipe.b, 100);
  EXPECT_FALSE(is_ours(pipe.a));
  int ours = 0;
  for (int fd = 0; fd < 20'000; ++fd) {
    if (is_ours(fd)) {
      ++ours;
      EXPECT_GT(fd, 100);
      EXPECT_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    }
  }
  // The epoll descriptor and the eventfd.
  EXPECT_EQ(ours, 2);
  pipe.close();
}

TEST(Reactor, TheDeadlineEndsTheWait) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] {
    int64_t start = now();
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, in_millis(20)), -ETIMEDOUT);
    EXPECT_GE(now() - start, 20'000'000);
    // The node is off the list: an event finds nobody, and the next wait takes it.
    EXPECT_EQ(write(pipe.b, "x", 1), 1);
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, Deadline::never()), 0);
  });
  fibers.join();
  pipe.close();
}

TEST(Reactor, AnEventBeforeTheWaitIsRemembered) {
  Pair pipe = Pair::pipe();
  Pair other = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, in_millis(1)), -ETIMEDOUT);
    EXPECT_EQ(write(pipe.b, "x", 1), 1);
    // The poller reports pipe.a while this fiber waits for something else.
    EXPECT_EQ(wait_fd(other.a, POLLIN, in_millis(20)), -ETIMEDOUT);
    uint64_t before = parks();
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, Deadline::never()), 0);
    EXPECT_EQ(parks(), before);
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, in_millis(5)), -ETIMEDOUT) << "an event counts once";
  });
  fibers.join();
  pipe.close();
  other.close();
}

TEST(Reactor, AnEventWakesAllWaitersOfItsDirection) {
  Pair pair = Pair::sockets(SOCK_DGRAM);
  FiberGroup fibers;
  int woken = 0;
  for (int i = 0; i < 10; ++i) {
    fibers.spawn([&] {
      EXPECT_EQ(wait_fd(pair.a, POLLIN, Deadline::never()), 0);
      ++woken;
    });
  }
  bool urgent_woken = false;
  fibers.spawn([&] {
    EXPECT_EQ(wait_fd(pair.a, POLLPRI, in_millis(30)), -ETIMEDOUT);
    urgent_woken = true;
  });
  fibers.spawn([&] {
    EXPECT_EQ(write(pair.b, "x", 1), 1);
    EXPECT_TRUE(eventually([&] { return woken == 10; }));
    EXPECT_FALSE(urgent_woken);
  });
  fibers.join();
  pair.close();
}

TEST(Reactor, AHangUpWakesEverybody) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  for (short events : {POLLIN, POLLPRI, 0}) {
    fibers.spawn([&, events] { EXPECT_EQ(wait_fd(pipe.a, events, Deadline::never()), 0); });
  }
  fibers.spawn([&] {
    ::close(pipe.b);
    pipe.b = -1;
  });
  fibers.join();
  pipe.close();
}

TEST(Reactor, ForgettingWakesTheWaiters) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  for (int i = 0; i < 3; ++i) {
    fibers.spawn([&] { EXPECT_EQ(wait_fd(pipe.a, POLLIN, Deadline::never()), -EBADF); });
  }
  fibers.spawn([&] {
    pollfd fds[] = {{-1, POLLIN, 0}, {pipe.a, POLLIN, 0}};
    EXPECT_EQ(wait_fds(fds, 2, Deadline::never()), 0);
  });
  fibers.spawn([&] { pipe.close(); });
  fibers.join();
}

TEST(Reactor, AForgottenNumberMayBeUsedAgain) {
  FiberGroup fibers;
  fibers.spawn([&] {
    for (int round = 0; round < 50; ++round) {
      Pair pair = round % 2 == 0 ? Pair::pipe() : Pair::sockets();
      EXPECT_EQ(wait_fd(pair.a, POLLIN, in_millis(0)), -ETIMEDOUT);
      // Data of the old descriptor must not wake a waiter of the new one.
      EXPECT_EQ(write(pair.b, "x", 1), 1);
      int keeps_description = dup(pair.a);
      int number = pair.a;
      int writer = dup(pair.b);
      pair.close();
      Pair next = Pair::pipe();
      EXPECT_TRUE(next.a == number || next.b == number);
      EXPECT_EQ(write(writer, "y", 1), 1);
      EXPECT_EQ(wait_fd(next.a, POLLIN, in_millis(1)), -ETIMEDOUT);
      EXPECT_EQ(write(next.b, "z", 1), 1);
      EXPECT_EQ(wait_fd(next.a, POLLIN, Deadline::never()), 0);
      next.close();
      ::close(keeps_description);
      ::close(writer);
    }
  });
  fibers.join();
}

TEST(Reactor, ARegistrationOfAnotherFileIsReplacedAfterForgetRange) {
  Pair first = Pair::pipe();
  Pair second = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(wait_fd(first.a, POLLIN, in_millis(0)), -ETIMEDOUT);
    forget_range(static_cast<unsigned>(first.a), ~0U);
    EXPECT_EQ(dup2(second.a, first.a), first.a);
    EXPECT_EQ(write(second.b, "x", 1), 1);
    EXPECT_EQ(wait_fd(first.a, POLLIN, Deadline::never()), 0);
  });
  fibers.join();
  first.close();
  second.close();
}

// Who is told of the close tries again before the kernel has closed the file, and waits once more.
TEST(Reactor, AWaitThatBeginsBeforeTheFileIsClosedSeesTheNextOne) {
  Pair first = Pair::pipe();
  Pair second = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(wait_fd(first.a, POLLIN, Deadline::never()), -EBADF);
    EXPECT_EQ(wait_fd(first.a, POLLIN, in_millis(10'000)), 0) << "nobody said that it was closed";
    EXPECT_EQ(wait_fd(first.a, POLLIN, in_millis(10'000)), 0) << "nobody watches the second file";
    char got = 0;
    EXPECT_EQ(read(first.a, &got, 1), 1);
  });
  fibers.spawn([&] {
    forget(first.a);
    ramie::core::yield();
    EXPECT_EQ(dup2(second.a, first.a), first.a);
    forget_again(first.a);
    ramie::core::yield();
    EXPECT_EQ(write(second.b, "x", 1), 1);
  });
  fibers.join();
  first.close();
  second.close();
}

TEST(Reactor, WhatHasNoReadinessIsNotPollable) {
  char name[] = "/tmp/reactor_testXXXXXX";
  int file = mkstemp(name);
  unlink(name);
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(wait_fd(file, POLLIN, Deadline::never()), -EPERM);
    pollfd as_set[] = {{file, POLLIN, 0}};
    EXPECT_EQ(wait_fds(as_set, 1, Deadline::never()), 0);
    EXPECT_EQ(wait_fd(-1, POLLIN, Deadline::never()), -EBADF);
    EXPECT_EQ(wait_fd(9999, POLLIN, Deadline::never()), -EBADF);
    pollfd closed[] = {{9999, POLLIN, 0}};
    EXPECT_EQ(wait_fds(closed, 1, Deadline::never()), 0);
  });
  fibers.join();
  ::close(file);
}

TEST(Reactor, ASetWaitsForAnyOfItsDescriptors) {
  FiberGroup fibers;
  fibers.spawn([&] {
    std::vector<Pair> pipes;
    std::vector<pollfd> set;
    for (int i = 0; i < 100; ++i) {
      pipes.push_back(Pair::pipe());
      set.push_back({pipes.back().a, POLLIN, 0});
    }
    EXPECT_EQ(wait_fds(set.data(), set.size(), in_millis(5)), -ETIMEDOUT);
    for (int i : {0, 31, 99}) {
      EXPECT_EQ(write(pipes[static_cast<size_t>(i)].b, "x", 1), 1);
      EXPECT_EQ(wait_fds(set.data(), set.size(), Deadline::never()), 0);
      char c;
      EXPECT_EQ(read(pipes[static_cast<size_t>(i)].a, &c, 1), 1);
    }
    EXPECT_EQ(wait_fds(set.data(), set.size(), in_millis(5)), -ETIMEDOUT);
    EXPECT_EQ(wait_fds(nullptr, 0, in_millis(5)), -ETIMEDOUT);
    for (Pair& pipe : pipes) {
      pipe.close();
    }
  });
  fibers.join();
}

TEST(Reactor, ASetMayNameADescriptorTwice) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  int seen = 0;
  fibers.spawn([&] {
    pollfd set[] = {
        {pipe.a, POLLIN, 0}, {-1, POLLIN, 0}, {pipe.a, POLLIN, 0}, {pipe.a, POLLPRI, 0}};
    for (char c; seen < 20; ++seen) {
      while (read(pipe.a, &c, 1) != 1) {
        ASSERT_EQ(wait_fds(set, 4, Deadline::never()), 0);
      }
    }
  });
  fibers.spawn([&] {
    for (int i = 0; i < 20; ++i) {
      EXPECT_EQ(write(pipe.b, "x", 1), 1);
      EXPECT_TRUE(eventually([&] { return seen > i; }));
    }
  });
  fibers.join();
  pipe.close();
}

TEST(Reactor, ANestedEpollIsADescriptorLikeOthers) {
  Pair pipe = Pair::pipe();
  int inner = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event{};
  event.events = EPOLLIN;
  ASSERT_EQ(epoll_ctl(inner, EPOLL_CTL_ADD, pipe.a, &event), 0);
  FiberGroup fibers;
  int seen = 0;
  fibers.spawn([&] {
    for (; seen < 100; ++seen) {
      while (epoll_wait(inner, &event, 1, 0) == 0) {
        ASSERT_EQ(wait_fd(inner, POLLIN, Deadline::never()), 0);
      }
      char c;
      ASSERT_EQ(read(pipe.a, &c, 1), 1);
    }
  });
  fibers.spawn([&] {
    for (int i = 0; i < 100; ++i) {
      EXPECT_EQ(write(pipe.b, "x", 1), 1);
      EXPECT_TRUE(eventually([&] { return seen > i; }));
    }
  });
  fibers.join();
  forget(inner);
  ::close(inner);
  pipe.close();
}

TEST(Reactor, AnUnparkFromAnotherThreadEndsThePollersWait) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] { EXPECT_EQ(wait_fd(pipe.a, POLLIN, Deadline::never()), 0); });
  fibers.spawn([&] {
    for (int i = 0; i < 200; ++i) {
      ramie::core::Ticket ticket = ramie::core::prepare_park();
      std::thread waker([&] { EXPECT_TRUE(ramie::core::unpark(ticket)); });
      EXPECT_EQ(ramie::core::park({}), ramie::core::Wake::unparked);
      waker.join();
    }
    EXPECT_EQ(write(pipe.b, "x", 1), 1);
  });
  fibers.join();
  pipe.close();
}

TEST(Reactor, AnInterruptionEndsTheWait) {
  Pair pipe = Pair::pipe();
  FiberGroup fibers;
  ramie::core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    waiter = ramie::core::current();
    EXPECT_EQ(wait_fd(pipe.a, POLLIN, Deadline::never()), -EINTR);
    pollfd set[] = {{pipe.a, POLLIN, 0}};
    EXPECT_EQ(wait_fds(set, 1, Deadline::never()), -EINTR);
  });
  fibers.spawn([&] {
    EXPECT_TRUE(ramie::core::interrupt(*waiter));
    ramie::core::yield();
    EXPECT_TRUE(ramie::core::interrupt(*waiter));
  });
  fibers.join();
  pipe.close();
}

TEST(Reactor, AForkedChildStartsAnew) {
  Pair pipe = Pair::pipe();
  Pair childs = Pair::pipe();
  FiberGroup fibers;
  fibers.spawn([&] { EXPECT_EQ(wait_fd(pipe.a, POLLIN, Deadline::never()), 0); });
  fibers.spawn([&] {
    ramie::core::yield();
    std::vector<bool> was_ours(20'000);
    for (int fd = 100; fd < 20'000; ++fd) {
      was_ours[static_cast<size_t>(fd)] = is_ours(fd);
    }
    pid_t pid = fork();
    if (pid == 0) {
      ramie::core::reset_after_fork();
      ramie::event::reset_after_fork();
      for (int fd = 100; fd < 20'000; ++fd) {
        if (was_ours[static_cast<size_t>(fd)] && (is_ours(fd) || fcntl(fd, F_GETFD) >= 0)) {
          _exit(1);
        }
      }
      if (wait_fd(childs.a, POLLIN, in_millis(5)) != -ETIMEDOUT) {
        _exit(2);
      }
      (void)!write(childs.b, "x", 1);
      _exit(wait_fd(childs.a, POLLIN, in_millis(10'000)) == 0 ? 0 : 3);
    }
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(write(pipe.b, "x", 1), 1);  // the parent's poller still works
  });
  fibers.join();
  pipe.close();
  childs.close();
}

}  // namespace

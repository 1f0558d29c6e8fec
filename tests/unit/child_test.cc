#include "event/child.h"

#include <gtest/gtest.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <vector>

#include "core/carrier.h"
#include "event/reactor.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::event::wait_child;
using ramie::test::FiberGroup;
using ramie::test::in_millis;

namespace {

// A child that ends when its pipe is written to.
struct Child {
  pid_t pid = -1;
  int end = -1;

  explicit Child(int code) {
    int fds[2];
    EXPECT_EQ(pipe(fds), 0);
    pid = fork();
    if (pid == 0) {
      close(fds[1]);
      char c;
      (void)!read(fds[0], &c, 1);
      _exit(code);
    }
    close(fds[0]);
    end = fds[1];
  }
  void finish() {
    // Not the close alone: children that were born later hold copies of this end.
    EXPECT_EQ(write(end, "x", 1), 1);
    close(end);
    end = -1;
  }
};

// As the callers do it.  The code that the child ended with, or -errno.
int wait_for(idtype_t type, id_t id, int options = WEXITED, pid_t* pid = nullptr) {
  for (;;) {
    siginfo_t info{};
    if (waitid(type, id, &info, options | WNOHANG) < 0) {
      return -errno;
    }
    if (info.si_pid != 0) {
      if (pid != nullptr) {
        *pid = info.si_pid;
      }
      return info.si_status;
    }
    if (long result = wait_child(static_cast<int>(type), id, options, Deadline::never());
        result < 0) {
      return static_cast<int>(result);
    }
  }
}

TEST(ChildWait, OneChildByItsNumber) {
  Child child(7);
  FiberGroup fibers;
  bool done = false;
  fibers.spawn([&] {
    EXPECT_EQ(wait_for(P_PID, static_cast<id_t>(child.pid)), 7);
    done = true;
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    EXPECT_FALSE(done);
    child.finish();
  });
  fibers.join();
  EXPECT_TRUE(done);
}

TEST(ChildWait, ManyChildrenEachByItsNumber) {
  std::vector<Child> children;
  for (int i = 0; i < 30; ++i) {
    children.emplace_back(i);
  }
  FiberGroup fibers;
  int done = 0;
  for (int i = 0; i < 30; ++i) {
    fibers.spawn([&, i] {
      EXPECT_EQ(wait_for(P_PID, static_cast<id_t>(children[static_cast<size_t>(i)].pid)), i);
      ++done;
    });
  }
  fibers.spawn([&] {
    for (size_t i = children.size(); i-- > 0;) {
      children[i].finish();
      ramie::core::yield();
    }
  });
  fibers.join();
  EXPECT_EQ(done, 30);
}

TEST(ChildWait, AnyChildAndNoneIsTakenFromAnother) {
  std::vector<Child> children;
  for (int i = 0; i < 8; ++i) {
    children.emplace_back(i);
  }
  FiberGroup fibers;
  int reaped = 0;
  int refused = 0;
  // More waiters than children: those that are left over learn that there is none any more.
  for (int i = 0; i < 12; ++i) {
    fibers.spawn([&] {
      int result = wait_for(P_ALL, 0);
      ++(result == -ECHILD ? refused : reaped);
    });
  }
  fibers.spawn([&] {
    for (Child& child : children) {
      (void)ramie::core::sleep_until(in_millis(2));
      child.finish();
    }
  });
  fibers.join();
  EXPECT_EQ(reaped, 8);
  EXPECT_EQ(refused, 4);
}

TEST(ChildWait, AProcessGroup) {
  Child child(3);
  Child other(4);
  ASSERT_EQ(setpgid(child.pid, 0), 0);
  FiberGroup fibers;
  fibers.spawn([&] {
    pid_t pid = 0;
    EXPECT_EQ(wait_for(P_PGID, static_cast<id_t>(child.pid), WEXITED, &pid), 3);
    EXPECT_EQ(pid, child.pid);
    other.finish();
    EXPECT_EQ(wait_for(P_PID, static_cast<id_t>(other.pid)), 4);
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    child.finish();
  });
  fibers.join();
}

TEST(ChildWait, AStopAndAContinuation) {
  Child child(5);
  FiberGroup fibers;
  auto id = static_cast<id_t>(child.pid);
  fibers.spawn([&] {
    EXPECT_EQ(wait_for(P_PID, id, WSTOPPED), SIGSTOP);
    kill(child.pid, SIGCONT);
    EXPECT_EQ(wait_for(P_PID, id, WCONTINUED), SIGCONT);
    child.finish();
    EXPECT_EQ(wait_for(P_PID, id, WEXITED | WSTOPPED), 5);
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    kill(child.pid, SIGSTOP);
  });
  fibers.join();
}

TEST(ChildWait, ByAPidfd) {
  Child child(6);
  auto pidfd = static_cast<int>(syscall(SYS_pidfd_open, child.pid, 0));
  ASSERT_GE(pidfd, 0);
  FiberGroup fibers;
  fibers.spawn([&] { EXPECT_EQ(wait_for(static_cast<idtype_t>(3), static_cast<id_t>(pidfd)), 6); });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    child.finish();
  });
  fibers.join();
  ramie::event::forget(pidfd);
  close(pidfd);
}

TEST(ChildWait, FlagsOfClonedChildren) {
  Child child(8);
  FiberGroup fibers;
  fibers.spawn([&] { EXPECT_EQ(wait_for(P_ALL, 0, WEXITED | __WALL | __WNOTHREAD), 8); });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    child.finish();
  });
  fibers.join();
}

TEST(ChildWait, WhoeverIsNoChildIsSaidToBeWorthATry) {
  FiberGroup fibers;
  fibers.spawn([&] {
    Child child(1);
    child.finish();
    int status;
    EXPECT_EQ(waitpid(child.pid, &status, 0), child.pid);
    EXPECT_EQ(wait_child(P_PID, static_cast<id_t>(child.pid), WEXITED, Deadline::never()), 0);
    EXPECT_EQ(wait_child(P_ALL, 0, WEXITED, Deadline::never()), 0);
    EXPECT_EQ(wait_for(P_ALL, 0), -ECHILD);
  });
  fibers.join();
}

TEST(ChildWait, DeadlinesAndInterruptionsEndIt) {
  Child child(9);
  FiberGroup fibers;
  auto id = static_cast<id_t>(child.pid);
  ramie::core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    waiter = ramie::core::current();
    EXPECT_EQ(wait_child(P_PID, id, WEXITED, in_millis(5)), -ETIMEDOUT);
    EXPECT_EQ(wait_child(P_ALL, 0, WEXITED, in_millis(5)), -ETIMEDOUT);
    EXPECT_EQ(wait_child(P_PID, id, WEXITED, Deadline::never()), -EINTR);
    EXPECT_EQ(wait_child(P_ALL, 0, WEXITED, Deadline::never()), -EINTR);
    // The helper of the waits that were given up is still there, and serves this one.
    child.finish();
    EXPECT_EQ(wait_child(P_ALL, 0, WEXITED, Deadline::never()), 0);
    EXPECT_EQ(wait_for(P_ALL, 0), 9);
  });
  fibers.spawn([&] {
    for (int i = 0; i < 2; ++i) {
      (void)ramie::core::sleep_until(in_millis(30));
      EXPECT_TRUE(ramie::core::interrupt(*waiter));
    }
  });
  fibers.join();
}

}  // namespace

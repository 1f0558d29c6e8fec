// Sleeping, waiting for children, closing descriptors, file locks.
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <time.h>

#include "event/own_descriptors.h"
#include "ops_calls.h"

using namespace ramie;
using namespace ramie::test;

namespace {

constexpr int64_t kMillisecond = 1'000'000;

class OpsTime : public OpsTest {};
class OpsChild : public OpsTest {};
class OpsDescriptor : public OpsTest {};
class OpsLock : public OpsTest {};

// A child that ends with `status` as soon as a byte comes through the pipe, or its end.
pid_t child_that_waits(Pair& pair, int status) {
  pid_t pid = fork();
  if (pid == 0) {
    char byte;
    ::close(pair.out);
    (void)!::read(pair.in, &byte, 1);
    _exit(status);
  }
  return pid;
}

TEST_F(OpsTime, SleepersSleepSideBySide) {
  int64_t start = base::now();
  for (int i = 0; i < 100; ++i) {
    fibers.spawn([] {
      timespec time = {0, 30 * kMillisecond};
      EXPECT_EQ(call(ops::nanosleep, &time, 0), 0);
      EXPECT_EQ(call(ops::clock_nanosleep, CLOCK_MONOTONIC, 0, &time, 0), 0);
    });
  }
  fibers.join();
  EXPECT_GE(base::now() - start, 60 * kMillisecond);
  EXPECT_LT(base::now() - start, 3000 * kMillisecond);
}

TEST_F(OpsTime, SleepOfNothingLetsOthersRun) {
  std::string order;
  for (int i = 0; i < 2; ++i) {
    fibers.spawn([&order, i] {
      timespec time = {};
      order += static_cast<char>('a' + i);
      EXPECT_EQ(call(ops::nanosleep, &time, 0), 0);
      EXPECT_EQ(call(ops::sched_yield), 0);
      order += static_cast<char>('A' + i);
    });
  }
  fibers.join();
  EXPECT_EQ(order, "abAB");
}

TEST_F(OpsTime, InterruptedSleepStoresTheRest) {
  core::Fiber* sleeper = nullptr;
  fibers.spawn([&] {
    sleeper = core::current();
    timespec time = {60, 0};
    EXPECT_EQ(call(ops::nanosleep, &time, &time), -EINTR);
    EXPECT_EQ(time.tv_sec, 59);
    EXPECT_EQ(call(ops::pause), -EINTR);
  });
  fibers.spawn([&] {
    EXPECT_TRUE(core::interrupt(*sleeper));
    core::yield();
    core::yield();
    EXPECT_TRUE(core::interrupt(*sleeper));
  });
  fibers.join();
}

TEST_F(OpsTime, AbsoluteSleepsFollowTheirClock) {
  for (clockid_t clock : {CLOCK_REALTIME, CLOCK_MONOTONIC, CLOCK_BOOTTIME, CLOCK_TAI}) {
    timespec time;
    clock_gettime(clock, &time);
    int64_t target = base::to_nanos(time) + 10 * kMillisecond;
    time = base::to_timespec(target);
    uint64_t before = parks();
    EXPECT_EQ(call(ops::clock_nanosleep, clock, TIMER_ABSTIME, &time, 0), 0);
    EXPECT_GT(parks(), before);
    clock_gettime(clock, &time);
    EXPECT_GE(base::to_nanos(time), target) << clock;
    time = {1, 0};  // long past
    EXPECT_EQ(call(ops::clock_nanosleep, clock, TIMER_ABSTIME, &time, 0), 0);
  }
}

TEST_F(OpsTime, BadArgumentsGetTheKernelsAnswer) {
  timespec time = {0, base::kNanosPerSecond};
  EXPECT_EQ(call(ops::nanosleep, &time, 0), -EINVAL);
  EXPECT_EQ(call(ops::nanosleep, 0, 0), -EFAULT);
  time = {-1, 0};
  EXPECT_EQ(call(ops::clock_nanosleep, CLOCK_REALTIME, TIMER_ABSTIME, &time, 0), -EINVAL);
  time = {0, 1};
  for (clockid_t clock : {CLOCK_THREAD_CPUTIME_ID, CLOCK_MONOTONIC_RAW}) {
    EXPECT_EQ(call(ops::clock_nanosleep, clock, 0, &time, 0),
              sys::call(SYS_clock_nanosleep, clock, 0, word(&time), 0));
  }
  EXPECT_EQ(call(ops::clock_nanosleep, 99, 0, &time, 0), -EINVAL);
}

TEST_F(OpsChild, WaitForOneChildParks) {
  Pair pair = Pair::pipe();
  pid_t pid = child_that_waits(pair, 7);
  fibers.spawn([&] {
    int status = 0;
    uint64_t before = parks();
    EXPECT_EQ(call(ops::wait4, pid, &status, WNOHANG, 0), 0);
    EXPECT_EQ(call(ops::wait4, pid, &status, 0, 0), pid);
    EXPECT_EQ(WEXITSTATUS(status), 7);
    EXPECT_GT(parks(), before);
  });
  fibers.spawn([&] { EXPECT_EQ(::write(pair.out, "x", 1), 1); });
  fibers.join();
  EXPECT_EQ(call(ops::wait4, pid, 0, 0, 0), -ECHILD);
}

TEST_F(OpsChild, WaitForAnyChildParksAndCountsItsUse) {
  Pair pair = Pair::pipe();
  pid_t pid = child_that_waits(pair, 8);
  fibers.spawn([&] {
    int status = 0;
    rusage usage;
    memset(&usage, 0xff, sizeof usage);
    EXPECT_EQ(call(ops::wait4, -1, &status, 0, &usage), pid);
    EXPECT_EQ(WEXITSTATUS(status), 8);
    EXPECT_GE(usage.ru_maxrss, 0);
    EXPECT_EQ(call(ops::wait4, -1, &status, 0, 0), -ECHILD);
  });
  fibers.spawn([&] { EXPECT_EQ(::write(pair.out, "x", 1), 1); });
  fibers.join();
}

TEST_F(OpsChild, WaitidTellsAndMayLeaveTheChild) {
  Pair pair = Pair::pipe();
  pid_t pid = child_that_waits(pair, 9);
  fibers.spawn([&] {
    siginfo_t info = {};
    EXPECT_EQ(call(ops::waitid, P_PID, pid, &info, WEXITED | WNOWAIT, 0), 0);
    EXPECT_EQ(info.si_pid, pid);
    EXPECT_EQ(info.si_status, 9);
    EXPECT_EQ(call(ops::waitid, P_ALL, 0, 0, WEXITED, 0), 0);
    EXPECT_EQ(call(ops::waitid, P_ALL, 0, &info, WEXITED, 0), -ECHILD);
    EXPECT_EQ(call(ops::waitid, P_ALL, 0, &info, 0, 0), -EINVAL);
  });
  fibers.spawn([&] { EXPECT_EQ(::write(pair.out, "x", 1), 1); });
  fibers.join();
}

TEST_F(OpsChild, StoppedAndContinuedChildrenAreReported) {
  Pair pair = Pair::pipe();
  pid_t pid = child_that_waits(pair, 0);
  fibers.spawn([&] {
    int status = 0;
    EXPECT_EQ(call(ops::wait4, pid, &status, WUNTRACED, 0), pid);
    EXPECT_TRUE(WIFSTOPPED(status));
    kill(pid, SIGCONT);
    EXPECT_EQ(call(ops::wait4, pid, &status, WCONTINUED, 0), pid);
    EXPECT_TRUE(WIFCONTINUED(status));
    kill(pid, SIGKILL);
    EXPECT_EQ(call(ops::wait4, pid, &status, 0, 0), pid);
    EXPECT_EQ(WTERMSIG(status), SIGKILL);
  });
  fibers.spawn([&] { kill(pid, SIGSTOP); });
  fibers.join();
}

TEST_F(OpsChild, InterruptedWaitIsRestartable) {
  Pair pair = Pair::pipe();
  pid_t pid = child_that_waits(pair, 0);
  core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    waiter = core::current();
    EXPECT_EQ(call(ops::wait4, pid, 0, 0, 0), sys::kRestart);
    pair.close_out();
    EXPECT_EQ(call(ops::wait4, pid, 0, 0, 0), pid);
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*waiter)); });
  fibers.join();
}

TEST_F(OpsDescriptor, NumberThatWasClosedStartsAnew) {
  for (int i = 0; i < 3; ++i) {
    Pair pair = i == 1 ? Pair::sockets() : Pair::pipe();
    fibers.spawn([&] {
      char byte;
      EXPECT_EQ(call(ops::read, pair.in, &byte, 1), 1);
    });
    fibers.spawn([&] { EXPECT_EQ(::write(pair.out, "x", 1), 1); });
    fibers.join();
  }
}

TEST_F(OpsDescriptor, ReplacedDescriptorEndsItsWaiters) {
  Pair pair = Pair::pipe();
  Pair other = Pair::pipe();
  fibers.spawn([&] {
    char byte;
    EXPECT_EQ(call(ops::read, pair.in, &byte, 1), -EBADF);
    EXPECT_EQ(call(ops::read, pair.in, &byte, 1), 1);
  });
  fibers.spawn([&] {
    EXPECT_EQ(call(ops::dup2, 9999, pair.in), -EBADF);  // changes nothing
    EXPECT_EQ(call(ops::dup3, other.in, other.in, 0), -EINVAL);
    EXPECT_EQ(call(ops::dup2, other.in, pair.in), pair.in);
    (void)core::sleep_until(in_millis(2));
    EXPECT_EQ(::write(other.out, "x", 1), 1);
  });
  fibers.join();
}

TEST_F(OpsDescriptor, OursCannotBeClosedByTheirNumbers) {
  int own = event::keep(eventfd(0, EFD_CLOEXEC));
  ASSERT_TRUE(event::is_ours(own));
  EXPECT_EQ(call(ops::close, own), -EBADF);
  EXPECT_EQ(call(ops::dup2, own, 500), -EBADF);
  EXPECT_EQ(call(ops::dup2, 0, own), -EBADF);
  EXPECT_EQ(call(ops::fcntl, own, F_GETFD, 0), -EBADF);
  int below = fcntl(0, F_DUPFD, 500);
  int above = fcntl(0, F_DUPFD, own + 1);
  ASSERT_TRUE(below < own && above > own);
  EXPECT_EQ(call(ops::close_range, below, ~0U, 0), 0);
  EXPECT_LT(fcntl(below, F_GETFD), 0);
  EXPECT_LT(fcntl(above, F_GETFD), 0);
  EXPECT_GE(fcntl(own, F_GETFD), 0);
  EXPECT_EQ(call(ops::close_range, 10, 5, 0), -EINVAL);
  event::discard(own);
}

TEST_F(OpsLock, FlockWaitsForTheOtherHolder) {
  std::string path = testing::TempDir() + "ramie_ops_lock_" + std::to_string(getpid());
  int first = open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  int second = open(path.c_str(), O_RDWR | O_CLOEXEC);
  unlink(path.c_str());
  ASSERT_EQ(call(ops::flock, first, LOCK_EX), 0);
  EXPECT_EQ(call(ops::flock, second, LOCK_EX | LOCK_NB), -EWOULDBLOCK);
  bool unlocked = false;
  fibers.spawn([&] {
    uint64_t before = parks();
    EXPECT_EQ(call(ops::flock, second, LOCK_EX), 0);
    EXPECT_TRUE(unlocked);
    EXPECT_GT(parks(), before);
  });
  fibers.spawn([&] {
    (void)core::sleep_until(in_millis(5));
    unlocked = true;
    EXPECT_EQ(call(ops::flock, first, LOCK_UN), 0);
  });
  fibers.join();

  struct flock lock = {};
  lock.l_type = F_WRLCK;
  ASSERT_EQ(call(ops::fcntl, first, F_OFD_SETLK, &lock), 0);
  fibers.spawn([&] {
    struct flock wanted = {};
    wanted.l_type = F_WRLCK;
    EXPECT_EQ(call(ops::fcntl, second, F_OFD_SETLKW, &wanted), 0);
  });
  fibers.spawn([&] { EXPECT_EQ(call(ops::close, first), 0); });
  fibers.join();
  EXPECT_EQ(call(ops::close, second), 0);
}

}  // namespace

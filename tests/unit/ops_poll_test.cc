// poll, select, epoll_wait and their forms.
#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/select.h>

#include "ops_calls.h"

using namespace ramie;
using namespace ramie::test;

namespace {

constexpr int64_t kMillisecond = 1'000'000;

class OpsPoll : public OpsTest {
 protected:
  // Runs `wait` in a fiber while another one writes to the pipe a little later.
  template <class F>
  void while_another_writes(Pair& pair, F wait) {
    fibers.spawn([&] {
      uint64_t before = parks();
      wait();
      EXPECT_GT(parks(), before);
    });
    fibers.spawn([&] { EXPECT_EQ(::write(pair.out, "x", 1), 1); });
    fibers.join();
  }
};

TEST_F(OpsPoll, ReadyDescriptorIsReportedAtOnce) {
  Pair pair = Pair::pipe();
  pollfd fds[3] = {{pair.in, POLLIN, 0}, {pair.out, POLLOUT, 0}, {-1, POLLIN, 77}};
  uint64_t before = parks();
  EXPECT_EQ(call(ops::poll, fds, 3, -1), 1);
  EXPECT_EQ(fds[0].revents, 0);
  EXPECT_EQ(fds[1].revents, POLLOUT);
  EXPECT_EQ(fds[2].revents, 0);
  EXPECT_EQ(parks(), before);
}

TEST_F(OpsPoll, PollParksUntilAnotherFiberWrites) {
  Pair pair = Pair::pipe();
  while_another_writes(pair, [&] {
    pollfd fds[2] = {{pair.in, POLLIN, 0}, {pair.in, POLLRDNORM, 0}};  // the same one twice
    EXPECT_EQ(call(ops::poll, fds, 2, -1), 2);
    EXPECT_EQ(fds[0].revents, POLLIN);
    EXPECT_EQ(fds[1].revents, POLLRDNORM);
  });
}

TEST_F(OpsPoll, PollTimesOut) {
  Pair pair = Pair::pipe();
  pollfd fds[1] = {{pair.in, POLLIN, 0}};
  int64_t start = base::now();
  EXPECT_EQ(call(ops::poll, fds, 1, 20), 0);
  EXPECT_GE(base::now() - start, 20 * kMillisecond);
  EXPECT_EQ(call(ops::poll, fds, 1, 0), 0);
}

TEST_F(OpsPoll, PollOfNothingSleeps) {
  int64_t start = base::now();
  uint64_t before = parks();
  EXPECT_EQ(call(ops::poll, 0, 0, 15), 0);
  EXPECT_GE(base::now() - start, 15 * kMillisecond);
  EXPECT_GT(parks(), before);
}

TEST_F(OpsPoll, PollReportsWhatTheKernelReports) {
  pollfd fds[1] = {{9999, POLLIN, 0}};
  EXPECT_EQ(call(ops::poll, fds, 1, -1), 1);
  EXPECT_EQ(fds[0].revents, POLLNVAL);
  EXPECT_EQ(call(ops::poll, 1L, 1, -1), -EFAULT);
  Pair pair = Pair::pipe();
  pair.close_out();
  fds[0] = {pair.in, POLLIN, 0};
  EXPECT_EQ(call(ops::poll, fds, 1, -1), 1);
  EXPECT_EQ(fds[0].revents, POLLHUP);
}

TEST_F(OpsPoll, RegularFileWithoutEventsOnlyTimesOut) {
  FILE* file = tmpfile();
  pollfd fds[1] = {{fileno(file), 0, 0}};
  int64_t start = base::now();
  EXPECT_EQ(call(ops::poll, fds, 1, 50), 0);
  EXPECT_GE(base::now() - start, 50 * kMillisecond);
  EXPECT_LT(parks(), 10'000U);
  fclose(file);
}

TEST_F(OpsPoll, InterruptedPollIsNeverRestarted) {
  Pair pair = Pair::pipe();
  core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    waiter = core::current();
    pollfd fds[1] = {{pair.in, POLLIN, 0}};
    EXPECT_EQ(call(ops::poll, fds, 1, -1), -EINTR);
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*waiter)); });
  fibers.join();
}

TEST_F(OpsPoll, PpollStoresWhatIsLeft) {
  Pair pair = Pair::pipe();
  while_another_writes(pair, [&] {
    pollfd fds[1] = {{pair.in, POLLIN, 0}};
    timespec timeout = {60, 0};
    EXPECT_EQ(call(ops::ppoll, fds, 1, &timeout, 0, 8), 1);
    EXPECT_EQ(timeout.tv_sec, 59);
  });
  timespec invalid = {0, base::kNanosPerSecond};
  EXPECT_EQ(call(ops::ppoll, 0, 0, &invalid, 0, 8), -EINVAL);
  EXPECT_EQ(call(ops::ppoll, 0, 0, 8L, 0, 8), -EFAULT);
}

TEST_F(OpsPoll, SelectParksAndFillsTheSets) {
  Pair pair = Pair::pipe();
  while_another_writes(pair, [&] {
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(pair.in, &readable);
    timeval timeout = {60, 1'500'000};
    EXPECT_EQ(call(ops::select, pair.in + 1, &readable, 0, 0, &timeout), 1);
    EXPECT_TRUE(FD_ISSET(pair.in, &readable));
    EXPECT_TRUE(timeout.tv_sec == 60 || timeout.tv_sec == 61);
  });
}

TEST_F(OpsPoll, SelectTimesOutWithEmptySetsAndNothingLeft) {
  Pair pair = Pair::pipe();
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(pair.in, &readable);
  timeval timeout = {0, 20'000};
  int64_t start = base::now();
  EXPECT_EQ(call(ops::select, pair.in + 1, &readable, 0, &readable, &timeout), 0);
  EXPECT_GE(base::now() - start, 20 * kMillisecond);
  EXPECT_FALSE(FD_ISSET(pair.in, &readable));
  EXPECT_EQ(timeout.tv_sec * 1'000'000 + timeout.tv_usec, 0);
}

TEST_F(OpsPoll, SelectMayOnlySleepAndRefusesWhatTheKernelRefuses) {
  timeval timeout = {0, 10'000};
  uint64_t before = parks();
  EXPECT_EQ(call(ops::select, 0, 0, 0, 0, &timeout), 0);
  EXPECT_GT(parks(), before);
  EXPECT_EQ(call(ops::select, -1, 0, 0, 0, 0), -EINVAL);
  timeout = {-1, 0};
  EXPECT_EQ(call(ops::select, 0, 0, 0, 0, &timeout), -EINVAL);
  fd_set readable;
  FD_ZERO(&readable);
  FD_SET(1000, &readable);
  timeout = {1, 0};
  EXPECT_EQ(call(ops::select, 1001, &readable, 0, 0, &timeout), -EBADF);
}

TEST_F(OpsPoll, InterruptedSelectLeavesTheSets) {
  Pair pair = Pair::pipe();
  core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    waiter = core::current();
    fd_set readable;
    FD_ZERO(&readable);
    FD_SET(pair.in, &readable);
    timespec timeout = {60, 0};
    EXPECT_EQ(call(ops::pselect6, pair.in + 1, &readable, 0, 0, &timeout, 0), -EINTR);
    EXPECT_TRUE(FD_ISSET(pair.in, &readable));
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*waiter)); });
  fibers.join();
}

TEST_F(OpsPoll, ManyDescriptorsInOnePoll) {
  std::vector<pollfd> fds;
  for (int i = 0; i < 200; ++i) {
    fds.push_back({eventfd(0, EFD_CLOEXEC), POLLIN, 0});
  }
  fibers.spawn([&] { EXPECT_EQ(call(ops::poll, fds.data(), fds.size(), -1), 1); });
  fibers.spawn([&] { EXPECT_EQ(eventfd_write(fds[150].fd, 1), 0); });
  fibers.join();
  EXPECT_EQ(fds[150].revents, POLLIN);
  for (const pollfd& one : fds) {
    call(ops::close, one.fd);
  }
}

TEST_F(OpsPoll, EpollWaitParksOnTheProgramsDescriptor) {
  Pair pair = Pair::pipe();
  int ep = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {EPOLLIN, {.u64 = 42}};
  ASSERT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, pair.in, &event), 0);
  while_another_writes(pair, [&] {
    epoll_event events[4];
    EXPECT_EQ(call(ops::epoll_wait, ep, events, 4, -1), 1);
    EXPECT_EQ(events[0].data.u64, 42U);
  });
  char byte;
  for (int i = 0; i < 3; ++i) {  // again and again: no event is lost between the two epolls
    ASSERT_EQ(::read(pair.in, &byte, 1), 1);
    while_another_writes(pair, [&] {
      epoll_event events[4];
      timespec timeout = {60, 0};
      EXPECT_EQ(call(ops::epoll_pwait2, ep, events, 4, &timeout, 0, 8), 1);
    });
  }
  epoll_event events[4];
  EXPECT_EQ(call(ops::epoll_wait, ep, events, 0, -1), -EINVAL);
  EXPECT_EQ(call(ops::epoll_wait, pair.in, events, 4, -1), -EINVAL);
  EXPECT_EQ(call(ops::epoll_wait, 9999, events, 4, -1), -EBADF);
  ASSERT_EQ(::read(pair.in, &byte, 1), 1);
  int64_t start = base::now();
  EXPECT_EQ(call(ops::epoll_pwait, ep, events, 4, 15, 0, 8), 0);
  EXPECT_GE(base::now() - start, 15 * kMillisecond);
  call(ops::close, ep);
}

TEST_F(OpsPoll, NestedEpollIsWaitedForAtAnyDepth) {
  Pair pair = Pair::pipe();
  std::vector<int> chain;
  int watched = pair.in;
  for (int i = 0; i < 5; ++i) {
    int ep = epoll_create1(EPOLL_CLOEXEC);
    epoll_event event = {EPOLLIN, {}};
    ASSERT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, watched, &event), 0) << i;
    chain.push_back(watched = ep);
  }
  while_another_writes(pair, [&] {
    epoll_event events[1];
    EXPECT_EQ(call(ops::epoll_wait, chain.back(), events, 1, -1), 1);
  });
  for (int ep : chain) {
    call(ops::close, ep);
  }
}

TEST_F(OpsPoll, TwoFibersShareOneEpoll) {
  Pair pair = Pair::pipe();
  int ep = epoll_create1(EPOLL_CLOEXEC);
  epoll_event event = {EPOLLIN | EPOLLONESHOT, {}};
  ASSERT_EQ(epoll_ctl(ep, EPOLL_CTL_ADD, pair.in, &event), 0);
  int got = 0;
  for (int i = 0; i < 2; ++i) {
    fibers.spawn([&] {
      epoll_event events[1];
      got += static_cast<int>(call(ops::epoll_wait, ep, events, 1, 100));
    });
  }
  fibers.spawn([&] { EXPECT_EQ(::write(pair.out, "x", 1), 1); });
  fibers.join();
  EXPECT_EQ(got, 1);
  call(ops::close, ep);
}

}  // namespace

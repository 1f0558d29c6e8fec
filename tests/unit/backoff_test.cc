#include "base/backoff.h"

#include <gtest/gtest.h>
#include <sched.h>

#include <atomic>
#include <ctime>
#include <thread>

namespace {

void bind_to_first_processor() {
  cpu_set_t set;
  ASSERT_EQ(sched_getaffinity(0, sizeof set, &set), 0);
  int first = 0;
  while (!CPU_ISSET(first, &set)) ++first;
  CPU_ZERO(&set);
  CPU_SET(first, &set);
  ASSERT_EQ(sched_setaffinity(0, sizeof set, &set), 0);
}

double used_by_this_thread() {
  timespec time{};
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) / 1e9;
}

// Yields alone would compute until the kernel throttles such threads, after a second or never.
TEST(Backoff, LetsAThreadOfALowerPriorityRun) {
  std::atomic<bool> begins = false;
  std::atomic<bool> is_done = false;
  bool is_allowed = true;
  double used = 0;
  std::thread other([&] {
    bind_to_first_processor();
    while (!begins) std::this_thread::yield();
    is_done = true;
  });
  std::thread urgent([&] {
    bind_to_first_processor();
    const sched_param priority{1};
    is_allowed = sched_setscheduler(0, SCHED_FIFO, &priority) == 0;
    begins = true;
    const double before = used_by_this_thread();
    for (ramie::base::Backoff backoff; !is_done;) backoff.wait();
    used = used_by_this_thread() - before;
  });
  urgent.join();
  other.join();
  if (!is_allowed) GTEST_SKIP() << "SCHED_FIFO is not allowed here";
  EXPECT_LT(used, 0.5);
}

}  // namespace

// The ring that all carriers share, from one and from two of them: waits that end by themselves, by
// their time and by an interruption at any moment lose no wake-up and no connection.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <atomic>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "core/carrier.h"
#include "core/park.h"
#include "event/io_uring_ops.h"
#include "event/reactor.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::base::now;
using ramie::event::uring_accept;
using ramie::event::uring_connect;
using ramie::event::uring_wait_futex;
using ramie::test::FiberGroup;

namespace {

using Random = std::minstd_rand;

Deadline in_some_time(Random& random, int most_micros) {
  return Deadline::after(now(), static_cast<int64_t>(random() % 1000) * most_micros);
}

class UringStress : public ::testing::TestWithParam<int> {
 protected:
  void SetUp() override {
    ramie::core::attach();
    if (!ramie::event::uring_available()) {
      GTEST_SKIP() << "the kernel refuses io_uring";
    }
  }

  template <class F>
  static void on_threads(F work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < GetParam(); ++i) {
      threads.emplace_back([=] { work(static_cast<unsigned>(i)); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
};

TEST_P(UringStress, WhomTheKernelHasWokenIsWoken) {
  constexpr int kWords = 4;
  static constexpr int kWaiters = 12;
  static constexpr int kRounds = 1000;
  static std::atomic<long> woken;
  static std::atomic<long> counted;
  static std::atomic<int> waiting;
  static std::atomic<bool> is_known;
  woken = counted = 0;
  is_known = true;
  waiting = GetParam() * kWaiters;
  void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
  ASSERT_NE(memory, MAP_FAILED);
  auto* words = static_cast<uint32_t*>(memory);
  std::thread waker([words] {
    Random random;
    while (waiting > 0) {
      counted += syscall(SYS_futex, words + random() % kWords, FUTEX_WAKE, 2);
      std::this_thread::yield();
    }
  });
  on_threads([words](unsigned seed) {
    FiberGroup fibers;
    std::vector<ramie::core::Fiber*> running;
    for (unsigned i = 0; i < kWaiters; ++i) {
      fibers.spawn([&, random = Random(seed * 100 + i + 1)]() mutable {
        running.push_back(ramie::core::current());
        for (int round = 0; round < kRounds && is_known; ++round) {
          long result = uring_wait_futex(words + random() % kWords, 0, FUTEX_BITSET_MATCH_ANY,
                                         in_some_time(random, 1));
          EXPECT_TRUE(result == 0 || result == -ETIMEDOUT || result == -EINTR || result == -ENOSYS)
              << result;
          woken += result == 0 ? 1 : 0;
          is_known = is_known && result != -ENOSYS;
        }
        std::erase(running, ramie::core::current());
        --waiting;
      });
    }
    fibers.spawn([&] {
      for (Random random; fibers.alive() > 1;) {
        if (!running.empty()) {
          (void)ramie::core::interrupt(*running[random() % running.size()]);
        }
        (void)ramie::core::sleep_until(in_some_time(random, 1));
      }
    });
    fibers.join();
  });
  waker.join();
  EXPECT_EQ(woken, counted);
  munmap(memory, 4096);
}

TEST_P(UringStress, EachConnectionIsAcceptedOnce) {
  static constexpr int kClients = 6;
  static constexpr int kRounds = 150;
  on_threads([](unsigned seed) {
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    auto* name = reinterpret_cast<sockaddr*>(&address);
    socklen_t length = sizeof address;
    ASSERT_EQ(bind(listener, name, length), 0);
    ASSERT_EQ(getsockname(listener, name, &length), 0);
    ASSERT_EQ(listen(listener, 1024), 0);
    FiberGroup fibers;
    int accepted = 0;
    for (unsigned i = 0; i < 3; ++i) {
      fibers.spawn([&, random = Random(seed * 100 + i + 1)]() mutable {
        while (accepted < kClients * kRounds) {
          long fd = uring_accept(listener, nullptr, nullptr, SOCK_CLOEXEC, in_some_time(random, 1));
          ASSERT_TRUE(fd >= 0 || fd == -ETIMEDOUT) << fd;
          if (fd >= 0) {
            ++accepted;
            close(static_cast<int>(fd));
          }
        }
      });
    }
    for (int i = 0; i < kClients; ++i) {
      fibers.spawn([&] {
        for (int round = 0; round < kRounds; ++round) {
          int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
          EXPECT_EQ(uring_connect(fd, name, length, Deadline::never()), 0);
          close(fd);
        }
      });
    }
    fibers.join();
    EXPECT_EQ(accepted, kClients * kRounds);
    ramie::event::forget(listener);
    close(listener);
  });
}

INSTANTIATE_TEST_SUITE_P(Carriers, UringStress, ::testing::Values(1, 2),
                         [](const auto& one) { return std::to_string(one.param); });

}  // namespace

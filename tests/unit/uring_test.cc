#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <linux/futex.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "core/carrier.h"
#include "event/io_uring_ops.h"
#include "event/reactor.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::base::now;
using ramie::event::uring_accept;
using ramie::event::uring_available;
using ramie::event::uring_connect;
using ramie::event::uring_wait_futex;
using ramie::test::FiberGroup;
using ramie::test::in_millis;

namespace {

// A listening TCP socket on an ephemeral port, in blocking mode.
struct Listener {
  int fd = -1;
  sockaddr_in address{};

  explicit Listener(int backlog = 128) {
    fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, sockaddr_of(), sizeof address), 0);
    socklen_t length = sizeof address;
    EXPECT_EQ(getsockname(fd, sockaddr_of(), &length), 0);
    EXPECT_EQ(listen(fd, backlog), 0);
  }
  ~Listener() {
    ramie::event::forget(fd);
    close(fd);
  }
  Listener(const Listener&) = delete;
  Listener& operator=(const Listener&) = delete;

  sockaddr* sockaddr_of() { return reinterpret_cast<sockaddr*>(&address); }
};

class Uring : public testing::Test {
 protected:
  void SetUp() override {
    ramie::core::attach();
    if (!uring_available()) {
      GTEST_SKIP() << "the kernel refuses io_uring";
    }
  }
};

bool is_blocking(int fd) { return (fcntl(fd, F_GETFL) & O_NONBLOCK) == 0; }

TEST_F(Uring, AcceptAndConnectOfFibers) {
  Listener listener;
  FiberGroup fibers;
  int accepted = -1;
  int connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  uint64_t parks = ramie::core::attach().parks;
  fibers.spawn([&] {
    sockaddr_in peer{};
    socklen_t length = sizeof peer;
    accepted = static_cast<int>(uring_accept(listener.fd, reinterpret_cast<sockaddr*>(&peer),
                                             &length, SOCK_CLOEXEC, Deadline::never()));
    EXPECT_GE(accepted, 0);
    EXPECT_EQ(length, sizeof peer);
    EXPECT_EQ(peer.sin_addr.s_addr, htonl(INADDR_LOOPBACK));
    EXPECT_TRUE(is_blocking(accepted));
    EXPECT_EQ(fcntl(accepted, F_GETFD), FD_CLOEXEC);
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(5));
    EXPECT_EQ(accepted, -1);
    EXPECT_EQ(uring_connect(connected, listener.sockaddr_of(), sizeof listener.address,
                            Deadline::never()),
              0);
    EXPECT_TRUE(is_blocking(connected));
    EXPECT_TRUE(is_blocking(listener.fd));
  });
  fibers.join();
  EXPECT_GT(ramie::core::attach().parks, parks);
  EXPECT_EQ(write(connected, "x", 1), 1);
  char c = 0;
  EXPECT_EQ(read(accepted, &c, 1), 1);
  close(accepted);
  close(connected);
}

TEST_F(Uring, ManyAtOnce) {
  constexpr int kConnections = 150;  // more than the ring has entries
  Listener listener(1024);
  FiberGroup fibers;
  std::vector<int> open;
  for (int i = 0; i < kConnections; ++i) {
    fibers.spawn([&] {
      auto fd = static_cast<int>(
          uring_accept(listener.fd, nullptr, nullptr, SOCK_CLOEXEC, Deadline::never()));
      ASSERT_GE(fd, 0);
      open.push_back(fd);
    });
  }
  for (int i = 0; i < kConnections; ++i) {
    fibers.spawn([&] {
      int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
      open.push_back(fd);
      EXPECT_EQ(
          uring_connect(fd, listener.sockaddr_of(), sizeof listener.address, Deadline::never()), 0);
    });
  }
  fibers.join();
  EXPECT_EQ(open.size(), 2U * kConnections);
  for (int fd : open) {
    close(fd);
  }
}

TEST_F(Uring, TheDeadlineEndsAnAccept) {
  Listener listener;
  FiberGroup fibers;
  fibers.spawn([&] {
    int64_t start = now();
    EXPECT_EQ(uring_accept(listener.fd, nullptr, nullptr, 0, in_millis(20)), -ETIMEDOUT);
    EXPECT_GE(now() - start, 20'000'000);
  });
  fibers.join();
  // The accept is over: the next connection is for the next caller.
  std::thread client([&] {
    int fd = socket(AF_INET, SOCK_STREAM, 0);
    EXPECT_EQ(connect(fd, listener.sockaddr_of(), sizeof listener.address), 0);
    close(fd);
  });
  fibers.spawn([&] {
    long fd = uring_accept(listener.fd, nullptr, nullptr, 0, Deadline::never());
    EXPECT_GE(fd, 0);
    close(static_cast<int>(fd));
  });
  fibers.join();
  client.join();
}

TEST_F(Uring, TheDeadlineEndsAConnect) {
  // A UNIX listener whose queue is full makes connect wait.
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ramie-uring-test-%d", getpid());
  auto* name = reinterpret_cast<sockaddr*>(&address);
  int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
  ASSERT_EQ(bind(listener, name, sizeof address), 0);
  ASSERT_EQ(listen(listener, 0), 0);
  FiberGroup fibers;
  fibers.spawn([&] {
    std::vector<int> open;
    long result = 0;
    for (int i = 0; i < 5 && result == 0; ++i) {
      open.push_back(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
      result = uring_connect(open.back(), name, sizeof address, in_millis(30));
    }
    EXPECT_EQ(result, -ETIMEDOUT);
    EXPECT_TRUE(is_blocking(open.back()));
    for (int fd : open) {
      close(fd);
    }
  });
  fibers.join();
  close(listener);
}

TEST_F(Uring, AnInterruptionEndsAnAccept) {
  Listener listener;
  FiberGroup fibers;
  ramie::core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    waiter = ramie::core::current();
    EXPECT_EQ(uring_accept(listener.fd, nullptr, nullptr, 0, Deadline::never()), -EINTR);
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(2));
    EXPECT_TRUE(ramie::core::interrupt(*waiter));
  });
  fibers.join();
}

TEST_F(Uring, ErrorsAreTheKernels) {
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(uring_accept(-1, nullptr, nullptr, 0, Deadline::never()), -EBADF);
    EXPECT_EQ(uring_accept(STDOUT_FILENO, nullptr, nullptr, 0, Deadline::never()), -ENOTSOCK);
    sockaddr_in nobody{};
    {
      Listener listener;
      nobody = listener.address;
    }
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    auto* address = reinterpret_cast<sockaddr*>(&nobody);
    EXPECT_EQ(uring_connect(fd, address, sizeof nobody, Deadline::never()), -ECONNREFUSED);
    close(fd);
  });
  fibers.join();
}

TEST_F(Uring, ShutdownEndsAnAccept) {
  Listener listener;
  FiberGroup fibers;
  fibers.spawn([&] {
    EXPECT_EQ(uring_accept(listener.fd, nullptr, nullptr, 0, Deadline::never()), -EINVAL);
  });
  fibers.spawn([&] {
    (void)ramie::core::sleep_until(in_millis(2));
    EXPECT_EQ(shutdown(listener.fd, SHUT_RDWR), 0);
  });
  fibers.join();
}

// Cancellation and arrival race; no connection may be lost with the cancelled call.
TEST_F(Uring, NoConnectionIsLostToACancellation) {
  constexpr int kConnections = 200;
  Listener listener(1024);
  FiberGroup fibers;
  int accepted = 0;
  fibers.spawn([&] {
    while (accepted < kConnections) {
      long fd = uring_accept(listener.fd, nullptr, nullptr, SOCK_CLOEXEC,
                             Deadline::after(now(), accepted % 5 * 20'000));
      ASSERT_TRUE(fd >= 0 || fd == -ETIMEDOUT) << fd;
      if (fd >= 0) {
        close(static_cast<int>(fd));
        ++accepted;
      }
    }
  });
  std::thread client([&] {
    for (int i = 0; i < kConnections; ++i) {
      int fd = socket(AF_INET, SOCK_STREAM, 0);
      EXPECT_EQ(connect(fd, listener.sockaddr_of(), sizeof listener.address), 0);
      close(fd);
    }
  });
  fibers.join();
  client.join();
  EXPECT_EQ(accepted, kConnections);
}

// A word that other processes may wake.
class UringFutex : public Uring {
 protected:
  static constexpr uint32_t kAll = FUTEX_BITSET_MATCH_ANY;

  void SetUp() override {
    Uring::SetUp();
    void* memory = mmap(nullptr, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    ASSERT_NE(memory, MAP_FAILED);
    word = static_cast<uint32_t*>(memory);
    FiberGroup fibers;
    fibers.spawn([&] { is_known = wait(1, Deadline::never()) != -ENOSYS; });
    fibers.join();
    if (!is_known) {
      GTEST_SKIP() << "the kernel has no such operation";
    }
  }
  void TearDown() override {
    if (word != nullptr) {
      munmap(word, 4096);
    }
  }

  long wait(uint32_t value, Deadline deadline) const {
    return uring_wait_futex(word, value, kAll, deadline);
  }
  long wake(int most) const { return syscall(SYS_futex, word, FUTEX_WAKE, most); }

  uint32_t* word = nullptr;
  bool is_known = false;
};

TEST_F(UringFutex, WakesAreCountedByTheKernelAndReachAsMany) {
  constexpr int kWaiters = 100;
  FiberGroup fibers;
  int woken = 0;
  for (int i = 0; i < kWaiters; ++i) {
    fibers.spawn([&] {
      EXPECT_EQ(wait(0, Deadline::never()), 0);
      ++woken;
    });
  }
  fibers.spawn([&] {
    ramie::core::yield();
    EXPECT_EQ(woken, 0);
    EXPECT_EQ(wake(40), 40);
    for (int i = 0; woken < 40 && i < 2000; ++i) {
      (void)ramie::core::sleep_until(in_millis(5));
    }
    EXPECT_EQ(woken, 40);
    EXPECT_EQ(wake(kWaiters), kWaiters - 40);
  });
  fibers.join();
  EXPECT_EQ(woken, kWaiters);
}

TEST_F(UringFutex, AnotherValueADeadlineAndASignalEndIt) {
  FiberGroup fibers;
  ramie::core::Fiber* waiter = nullptr;
  fibers.spawn([&] {
    EXPECT_EQ(wait(1, Deadline::never()), -EAGAIN);
    EXPECT_EQ(wait(1, Deadline::at(0)), -EAGAIN);
    int64_t start = now();
    EXPECT_EQ(wait(0, in_millis(10)), -ETIMEDOUT);
    EXPECT_GE(now() - start, 10'000'000);
    EXPECT_EQ(wake(1), 0) << "nobody waits any more";
    waiter = ramie::core::current();
    EXPECT_EQ(wait(0, Deadline::never()), -EINTR);
    EXPECT_EQ(wake(1), 0);
  });
  fibers.spawn([&] {
    while (waiter == nullptr) {
      (void)ramie::core::sleep_until(in_millis(1));
    }
    (void)ramie::core::sleep_until(in_millis(2));
    EXPECT_TRUE(ramie::core::interrupt(*waiter));
  });
  fibers.join();
}

// Whom the kernel has counted as woken does not say that its time was over.
TEST_F(UringFutex, NoWakeUpIsLostToATimeOut) {
  constexpr int kRounds = 300;
  FiberGroup fibers;
  int woken = 0;
  std::atomic<bool> ends = false;
  std::atomic<int> counted = 0;
  fibers.spawn([&] {
    for (int i = 0; i < kRounds; ++i) {
      long result = wait(0, Deadline::after(now(), i % 5 * 20'000));
      EXPECT_TRUE(result == 0 || result == -ETIMEDOUT) << result;
      woken += result == 0 ? 1 : 0;
    }
    ends = true;
  });
  std::thread waker([&] {
    while (!ends) {
      counted += static_cast<int>(wake(1));
    }
  });
  fibers.join();
  waker.join();
  EXPECT_EQ(woken, counted);
}

TEST_F(Uring, AForkedChildHasARingOfItsOwn) {
  Listener listener;
  FiberGroup fibers;
  long accepted = -1;
  fibers.spawn(
      [&] { accepted = uring_accept(listener.fd, nullptr, nullptr, 0, Deadline::never()); });
  fibers.spawn([&] {
    ramie::core::yield();
    pid_t pid = fork();
    if (pid == 0) {
      ramie::core::reset_after_fork();
      ramie::event::reset_after_fork();
      Listener own;
      bool good = uring_accept(own.fd, nullptr, nullptr, 0, in_millis(5)) == -ETIMEDOUT;
      _exit(good ? 0 : 1);
    }
    int status = -1;
    EXPECT_EQ(waitpid(pid, &status, 0), pid);
    EXPECT_EQ(status, 0);
    EXPECT_EQ(accepted, -1);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    EXPECT_EQ(uring_connect(fd, listener.sockaddr_of(), sizeof listener.address, Deadline::never()),
              0);
    close(fd);
  });
  fibers.join();
  EXPECT_GE(accepted, 0);
  close(static_cast<int>(accepted));
}

}  // namespace

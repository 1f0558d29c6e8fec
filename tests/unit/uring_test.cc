#include <arpa/inet.h>
#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

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

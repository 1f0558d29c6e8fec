// For the tests of interpose/ops: operations called as the table calls them, on light fibers.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>
#include <type_traits>
#include <vector>

#include "base/sys.h"
#include "core/carrier.h"
#include "event/reactor.h"
#include "interpose/ops/ops.h"
#include "support/fiber_group.h"

namespace ramie::test {

template <class T>
long word(T value) {
  if constexpr (std::is_pointer_v<T>) {
    return reinterpret_cast<long>(value);
  } else {
    return static_cast<long>(value);
  }
}

template <class... Arguments>
long call(long (*operation)(const long*), Arguments... arguments) {
  const long a[6] = {word(arguments)...};
  return operation(a);
}

// How often fibers of this kernel thread have parked: tells a wait that switched from one that
// blocked.
inline uint64_t parks() { return core::current()->carrier->parks; }

inline int flags_of(int fd) { return fcntl(fd, F_GETFL); }

// Two connected descriptors, closed at the end; by then their flags must be as they were.
class Pair {
 public:
  static Pair pipe(int flags = 0) {
    int fds[2];
    EXPECT_EQ(pipe2(fds, flags | O_CLOEXEC), 0);
    return Pair(fds[0], fds[1]);
  }
  static Pair sockets(int type = SOCK_STREAM) {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, type | SOCK_CLOEXEC, 0, fds), 0);
    return Pair(fds[0], fds[1]);
  }
  Pair(int first, int second)
      : in(first), out(second), in_flags_(flags_of(first)), out_flags_(flags_of(second)) {}
  ~Pair() {
    close_in();
    close_out();
  }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void close_in() { close(in, in_flags_); }
  void close_out() { close(out, out_flags_); }

  int in;   // for reading
  int out;  // for writing

 private:
  static void close(int& fd, int flags) {
    if (fd >= 0) {
      EXPECT_EQ(flags_of(fd), flags) << "the file description was changed";
      EXPECT_EQ(call(ops::close, fd), 0);
      fd = -1;
    }
  }

  int in_flags_;
  int out_flags_;
};

inline std::string text(size_t size) {
  std::string result(size, '\0');
  for (size_t i = 0; i < size; ++i) {
    result[i] = static_cast<char>('a' + i % 23);
  }
  return result;
}

// Reads `size` bytes with plain reads that wait for readiness, as a slow peer does.
inline std::string drain(int fd, size_t size) {
  std::string result;
  char buffer[10000];
  while (result.size() < size) {
    long n = call(ops::read, fd, buffer, sizeof buffer);
    if (n <= 0) {
      ADD_FAILURE() << "read: " << n;
      break;
    }
    result.append(buffer, static_cast<size_t>(n));
    core::yield();
  }
  return result;
}

class OpsTest : public testing::Test {
 protected:
  void SetUp() override { core::attach(); }

  FiberGroup fibers;
};

}  // namespace ramie::test

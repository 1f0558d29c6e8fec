// Two connected descriptors, non-blocking, for tests of the reactor.
#pragma once

#include <fcntl.h>
#include <gtest/gtest.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>

#include "event/reactor.h"

namespace ramie::test {

struct DescriptorPair {
  int a = -1;
  int b = -1;

  static DescriptorPair pipe() {
    int fds[2];
    EXPECT_EQ(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
    return {fds[0], fds[1]};
  }
  static DescriptorPair sockets(int type = SOCK_STREAM) {
    int fds[2];
    EXPECT_EQ(socketpair(AF_UNIX, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    return {fds[0], fds[1]};
  }
  void close() {
    for (int* fd : {&a, &b}) {
      if (*fd >= 0) {
        event::forget(*fd);
        ::close(*fd);
        *fd = -1;
      }
    }
  }
};

// As the callers of the reactor do it: try, wait, try again.
inline ssize_t read_some(int fd, void* data, size_t size) {
  for (;;) {
    ssize_t n = ::read(fd, data, size);
    if (n >= 0 || errno != EAGAIN) {
      return n;
    }
    if (event::wait_fd(fd, POLLIN, base::Deadline::never()) < 0) {
      return -1;
    }
  }
}

inline bool write_all(int fd, const char* data, size_t size) {
  while (size > 0) {
    ssize_t n = ::write(fd, data, size);
    if (n > 0) {
      data += n;
      size -= static_cast<size_t>(n);
    } else if (errno != EAGAIN || event::wait_fd(fd, POLLOUT, base::Deadline::never()) < 0) {
      return false;
    }
  }
  return true;
}

}  // namespace ramie::test

// The ends of pipes, as <ramie/process.h> hands them out: non-blocking inside, waiting by letting
// other fibers run.  Errors are std::system_error.
#pragma once

#include <fcntl.h>
#include <ramie/socket.h>
#include <signal.h>
#include <unistd.h>

#include <cerrno>
#include <cstddef>
#include <ctime>
#include <span>
#include <string>
#include <string_view>
#include <utility>

namespace ramie {

namespace detail {

// write(2) without the SIGPIPE that it raises when nobody reads: blocked meanwhile, and taken back
// if it came.  No fiber switches in here.
inline ::ssize_t write_quietly(int fd, const char* data, std::size_t size) {
  ::sigset_t pipe_signal;
  ::sigset_t before;
  ::sigset_t pending;
  ::sigemptyset(&pipe_signal);
  ::sigaddset(&pipe_signal, SIGPIPE);
  ::sigpending(&pending);
  ::pthread_sigmask(SIG_BLOCK, &pipe_signal, &before);
  ::ssize_t result = ::write(fd, data, size);
  int error = errno;
  if (result < 0 && error == EPIPE && ::sigismember(&pending, SIGPIPE) == 0) {
    ::timespec now{};
    while (::sigtimedwait(&pipe_signal, nullptr, &now) < 0 && errno == EINTR) {
    }
  }
  ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
  errno = error;
  return result;
}

}  // namespace detail

// The end of a pipe from which one reads.  Moves, doesn't copy, and closes itself.  Throws
// std::system_error.
class pipe_reader {
 public:
  pipe_reader() noexcept = default;
  // Takes over a descriptor that is in non-blocking mode.
  explicit pipe_reader(int fd) noexcept : end_(fd) {}

  // What is there, at least one byte; 0 at the end.  Switches fibers when there is nothing yet.
  std::size_t read_some(std::span<char> into) {
    return static_cast<std::size_t>(detail::when_ready(
        fd(), io::readable, "read", [&] { return ::read(fd(), into.data(), into.size()); }));
  }
  // As stream::read_until().
  std::size_t read_until(std::string& data, std::string_view end, std::size_t most = 64UL * 1024) {
    return detail::read_until(*this, data, end, most);
  }
  // Everything up to the end.
  std::string read_all() {
    std::string all;
    char buffer[16 * 1024];
    while (std::size_t size = read_some(buffer)) {
      all.append(buffer, size);
    }
    return all;
  }

  // Closing wakes who waits for this end.  Never switches.
  void close() noexcept { end_.close(); }
  [[nodiscard]] bool is_open() const noexcept { return fd() >= 0; }
  [[nodiscard]] int fd() const noexcept { return end_.get(); }

 private:
  detail::owned_descriptor end_;
};

// The end into which one writes, likewise.
class pipe_writer {
 public:
  pipe_writer() noexcept = default;
  // Takes over a descriptor that is in non-blocking mode.
  explicit pipe_writer(int fd) noexcept : end_(fd) {}

  // Everything.  Switches fibers while the pipe is full.  An error of broken_pipe, and no SIGPIPE,
  // if nobody reads any more.
  void write_all(std::string_view data) {
    while (!data.empty()) {
      auto size = detail::when_ready(fd(), io::writable, "write", [&] {
        return detail::write_quietly(fd(), data.data(), data.size());
      });
      data.remove_prefix(static_cast<std::size_t>(size));
    }
  }

  // Closing wakes who waits for this end.  Never switches.
  void close() noexcept { end_.close(); }
  [[nodiscard]] bool is_open() const noexcept { return fd() >= 0; }
  [[nodiscard]] int fd() const noexcept { return end_.get(); }

 private:
  detail::owned_descriptor end_;
};

// A pipe with both ends in this process: close-on-exec and non-blocking.
inline std::pair<pipe_reader, pipe_writer> make_pipe() {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC | O_NONBLOCK) != 0) {
    detail::throw_errno(errno, "pipe2");
  }
  return {pipe_reader(ends[0]), pipe_writer(ends[1])};
}

}  // namespace ramie

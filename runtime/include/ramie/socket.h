// Sockets of one's own for servers and clients: what an echo server needs, and no more.  They are
// non-blocking inside, and wait by letting other fibers run; a kernel thread without fibers blocks.
//
//     ramie::listener doors(ramie::endpoint("127.0.0.1:7777"));
//     for (;;)
//       ramie::spawn([](ramie::stream peer) {
//         char buffer[4096];
//         while (std::size_t size = peer.read_some(buffer)) peer.write_all({buffer, size});
//       }, doors.accept()).detach();
//
// Errors are std::system_error.  Time limits: a ramie::timeout around.
#pragma once

#include <ramie/endpoint.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <system_error>
#include <utility>
#include <vector>

namespace ramie {

namespace detail {

[[noreturn]] inline void throw_errno(int error, const char* what) {
  throw std::system_error(error, std::generic_category(), what);
}

// A descriptor that is closed once.
class owned_descriptor {
 public:
  owned_descriptor() noexcept = default;
  explicit owned_descriptor(int fd) noexcept : fd_(fd) {}
  owned_descriptor(owned_descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  owned_descriptor& operator=(owned_descriptor&& other) noexcept {
    if (this != &other) {
      close();
      fd_ = std::exchange(other.fd_, -1);
    }
    return *this;
  }
  ~owned_descriptor() { close(); }

  [[nodiscard]] int get() const noexcept { return fd_; }
  int release() noexcept { return std::exchange(fd_, -1); }
  // Closing wakes who waits for it.  Never switches.
  void close() noexcept {
    if (int fd = std::exchange(fd_, -1); fd >= 0) {
      io::notify_close(fd);
      ::close(fd);
    }
  }

 private:
  int fd_ = -1;
};

// Calls `attempt` until it doesn't say EAGAIN; between two calls waits for `what`.
template <class Attempt>
auto when_ready(int fd, io::events what, const char* name, Attempt attempt) {
  for (;;) {
    auto result = attempt();
    if (result >= 0) {
      return result;
    }
    if (errno == EAGAIN || errno == EWOULDBLOCK) {
      int waited = await_descriptor(fd, what);
      if (waited == -ECANCELED) {
        wait_done(false, never);
      } else if (waited < 0) {
        throw_errno(-waited, name);
      }
    } else if (errno != EINTR) {
      throw_errno(errno, name);
    }
  }
}

// read_until() of what has a read_some().
template <class Reader>
std::size_t read_until(Reader& from, std::string& data, std::string_view end, std::size_t most) {
  char buffer[4096];
  std::size_t searched = 0;
  for (;;) {
    if (std::size_t found = data.find(end, searched); found != data.npos) {
      return found + end.size();
    }
    if (data.size() >= most) {
      throw_errno(EMSGSIZE, "read_until");
    }
    searched = data.size() < end.size() ? 0 : data.size() - end.size() + 1;
    std::size_t size = from.read_some(buffer);
    if (size == 0) {
      return 0;
    }
    data.append(buffer, size);
  }
}

inline owned_descriptor open_socket(int family, int type) {
  int fd = ::socket(family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  if (fd < 0) {
    throw_errno(errno, "socket");
  }
  return owned_descriptor(fd);
}

inline endpoint local_endpoint(int fd) {
  endpoint found;
  ::socklen_t size = endpoint::capacity();
  if (::getsockname(fd, found.data(), &size) != 0) {
    throw_errno(errno, "getsockname");
  }
  found.resize(size);
  return found;
}

}  // namespace detail

// A connected stream socket, TCP or UNIX.  Moves, and closes itself.  One fiber may read while
// another one writes.
class stream {
 public:
  stream() noexcept = default;
  // Takes over a descriptor that is in non-blocking mode.
  explicit stream(int fd) noexcept : socket_(fd) {}

  // Connects.  Switches fibers.
  static stream connect(const endpoint& to) {
    stream made(detail::open_socket(to.family(), SOCK_STREAM).release());
    int failed = ::connect(made.fd(), to.data(), to.size());
    while (failed != 0 && errno == EAGAIN) {  // the queue of a UNIX listener is full
      sleep_for(std::chrono::milliseconds(1));
      failed = ::connect(made.fd(), to.data(), to.size());
    }
    if (failed != 0) {
      if (errno != EINPROGRESS && errno != EINTR) {
        detail::throw_errno(errno, "connect");
      }
      (void)io::wait(made.fd(), io::writable);
      int error = 0;
      ::socklen_t size = sizeof error;
      if (::getsockopt(made.fd(), SOL_SOCKET, SO_ERROR, &error, &size) != 0 || error != 0) {
        detail::throw_errno(error != 0 ? error : errno, "connect");
      }
    }
    return made;
  }
  // To the first address of the host that takes the connection.
  static stream connect(const std::string& host, std::uint16_t port) {
    std::vector<endpoint> addresses = resolve(host, std::to_string(port));
    for (std::size_t i = 0; i + 1 < addresses.size(); ++i) {
      try {
        return connect(addresses[i]);
      } catch (const std::system_error&) {  // the next one, then
      }
    }
    return connect(addresses.back());
  }

  // Reads what is there, at least one byte; 0 at the end of the stream.  Switches fibers when there
  // is nothing yet.
  std::size_t read_some(std::span<char> into) {
    for (;;) {
      std::ptrdiff_t got = detail::receive(fd(), into.data(), into.size());
      if (got >= 0) [[likely]] {
        return static_cast<std::size_t>(got);
      }
      if (got != -ECANCELED) {
        detail::throw_errno(static_cast<int>(-got), "recv");
      }
      (void)detail::wait_done(false, detail::never);
    }
  }

  // Reads until the buffer is full; less at the end of the stream.
  std::size_t read_full(std::span<char> into) {
    std::size_t done = 0;
    while (done < into.size()) {
      std::size_t size = read_some(into.subspan(done));
      if (size == 0) {
        break;
      }
      done += size;
    }
    return done;
  }

  // Reads until `data`, which may hold something already, contains `end`; returns how long it is up
  // to there, `end` included, or 0 if the stream ends before.  What has come beyond that stays in
  // `data` for the next call; what is done with is the caller's to erase:
  //
  //     for (std::string data; std::size_t size = peer.read_until(data, "\n"); data.erase(0, size))
  //
  // Throws message_size once there are `most` bytes without it.  Switches fibers as read_some().
  std::size_t read_until(std::string& data, std::string_view end, std::size_t most = 64UL * 1024) {
    return detail::read_until(*this, data, end, most);
  }

  // Writes everything.  Switches fibers while the peer doesn't read.  Raises no SIGPIPE.
  void write_all(std::string_view data) {
    while (!data.empty()) {
      std::ptrdiff_t size = detail::transmit(fd(), data.data(), data.size());
      if (size >= 0) [[likely]] {
        data.remove_prefix(static_cast<std::size_t>(size));
      } else if (size == -ECANCELED) {
        (void)detail::wait_done(false, detail::never);
      } else {
        detail::throw_errno(static_cast<int>(-size), "send");
      }
    }
  }

  // The peer will read the end of the stream.
  void shutdown_write() {
    if (::shutdown(fd(), SHUT_WR) != 0) {
      detail::throw_errno(errno, "shutdown");
    }
  }

  // Who waits for it in another fiber gets bad_file_descriptor.
  // Closing wakes who waits for it.  Never switches.
  void close() noexcept { socket_.close(); }

  // The descriptor, -1 after close() or a move.
  [[nodiscard]] bool is_open() const noexcept { return fd() >= 0; }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }
  // Gives the descriptor away.
  [[nodiscard]] int release() noexcept { return socket_.release(); }

  // The addresses of the two sides.
  [[nodiscard]] endpoint local() const { return detail::local_endpoint(fd()); }
  [[nodiscard]] endpoint peer() const {
    endpoint found;
    ::socklen_t size = endpoint::capacity();
    if (::getpeername(fd(), found.data(), &size) != 0) {
      detail::throw_errno(errno, "getpeername");
    }
    found.resize(size);
    return found;
  }

 private:
  detail::owned_descriptor socket_;
};

// A listening socket.  A file of a UNIX domain socket that nobody listens on is replaced, and the
// listener removes its own when it closes.
class listener {
 public:
  explicit listener(const endpoint& at, int backlog = SOMAXCONN)
      : socket_(detail::open_socket(at.family(), SOCK_STREAM)) {
    int on = 1;
    if (at.family() != AF_UNIX) {
      (void)::setsockopt(fd(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    }
    if (::bind(fd(), at.data(), at.size()) != 0 &&
        (errno != EADDRINUSE || !remove_stale(at) || ::bind(fd(), at.data(), at.size()) != 0)) {
      throw std::system_error(errno, std::generic_category(), "bind to " + at.text());
    }
    path_ = at.path();
    if (::listen(fd(), backlog) != 0) {
      throw std::system_error(errno, std::generic_category(), "listen on " + at.text());
    }
  }
  listener(listener&& other) noexcept
      : socket_(std::move(other.socket_)), path_(std::exchange(other.path_, {})) {}
  listener& operator=(listener&& other) noexcept {
    std::swap(socket_, other.socket_);
    std::swap(path_, other.path_);
    return *this;
  }
  ~listener() { close(); }

  // The next connection.  Switches fibers when there is none yet.
  stream accept() {
    return stream(detail::when_ready(fd(), io::readable, "accept", [&] {
      return ::accept4(fd(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC);
    }));
  }

  // Closing wakes who waits for it.  Never switches.
  void close() noexcept {
    socket_.close();
    if (!path_.empty()) {
      ::unlink(path_.c_str());
      path_.clear();
    }
  }

  // Where it is bound, and its descriptor.
  [[nodiscard]] endpoint local() const { return detail::local_endpoint(fd()); }
  [[nodiscard]] std::uint16_t port() const { return local().port(); }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  // Whether the file was one that nobody listens on; it is gone then.
  static bool remove_stale(const endpoint& at) {
    struct ::stat file {};
    if (at.path().empty() || ::stat(at.path().c_str(), &file) != 0 || !S_ISSOCK(file.st_mode)) {
      errno = EADDRINUSE;
      return false;
    }
    detail::owned_descriptor probe = detail::open_socket(AF_UNIX, SOCK_STREAM);
    bool is_stale = ::connect(probe.get(), at.data(), at.size()) != 0 && errno == ECONNREFUSED;
    if (!is_stale || ::unlink(at.path().c_str()) != 0) {
      errno = EADDRINUSE;
      return false;
    }
    return true;
  }

  detail::owned_descriptor socket_;
  std::string path_;
};

// A datagram socket, UDP or UNIX.
class datagram_socket {
 public:
  // Bound to an address, or, for a client, to none (of a family).
  explicit datagram_socket(const endpoint& at)
      : socket_(detail::open_socket(at.family(), SOCK_DGRAM)) {
    if (::bind(fd(), at.data(), at.size()) != 0) {
      throw std::system_error(errno, std::generic_category(), "bind to " + at.text());
    }
  }
  explicit datagram_socket(int family) : socket_(detail::open_socket(family, SOCK_DGRAM)) {}

  // Receives one datagram, what doesn't fit is cut off, and its sender.  Switches fibers when there
  // is none yet.
  std::size_t receive_from(std::span<char> into, endpoint& sender) {
    ::socklen_t size = endpoint::capacity();
    auto got = detail::when_ready(fd(), io::readable, "recvfrom", [&] {
      size = endpoint::capacity();
      return ::recvfrom(fd(), into.data(), into.size(), 0, sender.data(), &size);
    });
    sender.resize(size);
    return static_cast<std::size_t>(got);
  }

  // Sends one datagram.
  void send_to(std::string_view data, const endpoint& to) {
    (void)detail::when_ready(fd(), io::writable, "sendto", [&] {
      return ::sendto(fd(), data.data(), data.size(), MSG_NOSIGNAL, to.data(), to.size());
    });
  }

  // Closing wakes who waits for it.  Never switches.
  void close() noexcept { socket_.close(); }
  // Where it is bound, and its descriptor.
  [[nodiscard]] endpoint local() const { return detail::local_endpoint(fd()); }
  [[nodiscard]] std::uint16_t port() const { return local().port(); }
  [[nodiscard]] int fd() const noexcept { return socket_.get(); }

 private:
  detail::owned_descriptor socket_;
};

}  // namespace ramie

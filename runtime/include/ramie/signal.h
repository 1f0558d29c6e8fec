// Signals as something to wait for:
//
//     ramie::signal_waiter stop({SIGINT, SIGTERM});   // early in main(), before any thread
//     ramie::spawn([&] { stop.wait(); server.close(); }).detach();
//     server.serve();
#pragma once

#include <fcntl.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <ramie/socket.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdint>
#include <initializer_list>
#include <memory>
#include <optional>
#include <utility>

namespace ramie {

// Takes signals of the process, or sent to the thread that waits, by a signalfd(2), while one
// lives: no handler sees them.  For that they are blocked in the thread that makes it, and in those
// that are started afterwards; threads that were there before must have blocked them, else the
// kernel may give the signal to one of them.  Children of posix_spawn inherit the mask.
class signal_waiter {
 public:
  // Throws std::system_error.
  explicit signal_waiter(std::initializer_list<int> signals) {
    ::sigset_t set;
    ::sigemptyset(&set);
    for (int one : signals) {
      if (::sigaddset(&set, one) != 0) {
        detail::throw_errno(errno, "sigaddset");
      }
    }
    if (int error = ::pthread_sigmask(SIG_BLOCK, &set, &before_); error != 0) {
      detail::throw_errno(error, "pthread_sigmask");
    }
    int fd = ::signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0) {
      int error = errno;
      ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
      detail::throw_errno(error, "signalfd");
    }
    fd_ = std::make_shared<detail::owned_descriptor>(fd);
  }
  signal_waiter(const signal_waiter&) = delete;
  signal_waiter& operator=(const signal_waiter&) = delete;
  // Restores the mask of the calling thread, which should be the one that made it: signals that are
  // still pending have their ordinary effect then.
  ~signal_waiter() {
    fd_->close();
    ::pthread_sigmask(SIG_SETMASK, &before_, nullptr);
  }

  // Waits for one of the signals, and returns which.  Each is given out once.  Switches fibers.
  int wait() { return *wait_until(detail::never); }
  // The same with a limit; nothing if that passed first.
  template <class Rep, class Period>
  std::optional<int> wait_for(const std::chrono::duration<Rep, Period>& duration) {
    return wait_until(detail::deadline_after(duration));
  }
  // One that is there already.  Never waits.
  std::optional<int> poll() {
    ::signalfd_siginfo info{};
    ::ssize_t size = ::read(fd_->get(), &info, sizeof info);
    if (size < 0 && errno != EAGAIN && errno != EINTR) {
      detail::throw_errno(errno, "read from a signalfd");
    }
    return size > 0 ? std::optional(static_cast<int>(info.ssi_signo)) : std::nullopt;
  }

  // For wait_any() and its relatives (wait.h): calls f once there is a signal, on a fiber that
  // waits for that in the background, and takes none.
  template <class F>
  void when_ready(F f) const {
    spawn({.name = "signal", .stays = true}, [shared = fd_, f = std::move(f)]() mutable {
      try {
        (void)io::wait(shared->get(), io::readable);
      } catch (const std::system_error&) {  // the waiter is gone
        return;
      }
      f();
    }).detach();
  }

 private:
  std::optional<int> wait_until(std::int64_t deadline) {
    for (;;) {
      if (std::optional<int> found = poll()) {
        return found;
      }
      int happened = detail::wait_descriptor(fd_->get(), detail::io_readable, deadline);
      if (happened < 0) {
        detail::throw_errno(-happened, "waiting for a signal");
      }
      if (!detail::wait_done(happened != 0, deadline)) {
        return std::nullopt;
      }
    }
  }

  ::sigset_t before_{};
  std::shared_ptr<detail::owned_descriptor> fd_;
};

}  // namespace ramie

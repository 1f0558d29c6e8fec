// Waiting for descriptors on a fiber: for libraries and programs that do non-blocking I/O
// themselves.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/cancel.h>
#include <ramie/detail/deadline.h>

#include <chrono>
#include <cstdint>
#include <system_error>

namespace ramie::io {

// What to wait for, and what happened.
enum events : short {
  none = 0,
  // A read would not block: data, end of file, a connection to accept, an error.
  readable = detail::io_readable,
  // A write would not block, or would fail at once; a connect() is over.
  writable = detail::io_writable,
};

// Combine them, and pick some out.
constexpr events operator|(events a, events b) {
  return static_cast<events>(static_cast<short>(a) | static_cast<short>(b));
}
constexpr events operator&(events a, events b) {
  return static_cast<events>(static_cast<short>(a) & static_cast<short>(b));
}

// Waits until the descriptor is ready for one of `what`, at the latest until the time-out (default:
// for ever), and returns for which, `none` at the time-out.  Level-triggered, as poll(2) is: what
// was not read is reported again.  Switches fibers; a kernel thread without fibers blocks.  The
// descriptor may be blocking or not, and is not changed.  Throws std::system_error:
// bad_file_descriptor if it isn't open, or is announced by notify_close() meanwhile.
inline events wait(int fd, events what,
                   std::chrono::nanoseconds timeout = std::chrono::nanoseconds::max()) {
  std::int64_t deadline =
      timeout == std::chrono::nanoseconds::max() ? detail::never : detail::deadline_after(timeout);
  int happened = detail::wait_descriptor(fd, what, deadline);
  if (happened < 0) {
    throw std::system_error(-happened, std::generic_category(), "ramie::io::wait");
  }
  detail::wait_done(happened != 0, deadline);
  return static_cast<events>(happened);
}

// To be called before a descriptor that io::wait() has seen is closed or replaced (dup2): wakes who
// waits for it, and keeps its number's next user apart from it.  Under `ramie run` close() itself
// does so, on a fiber and in a program with threads.  Never switches.  Any thread.
inline void notify_close(int fd) noexcept { detail::forget_descriptor(fd); }

}  // namespace ramie::io

// Cancellation: fiber::cancel() makes the fiber's next wait in a function of Ramie, or the one that
// it is in, throw ramie::cancelled.
//
//     ramie::fiber<void> worker = ramie::spawn([&] { for (;;) serve(queue.pop()); });
//     worker.cancel();
//     worker.join();     // ended by the exception, its destructors run
//
// A wait throws instead of waiting; one that has what it wants (a free mutex, a full queue) returns
// that, and the request stays for the next.  Each request throws once: code that catches
// `cancelled` and goes on may wait again.  Waits never throw while an exception is on its way up
// the stack, or within a cancellation_disabled scope.
//
// A destructor that waits outside of any unwinding (a lock in it does) needs such a scope: there an
// exception would end the program, as any exception from a destructor does.
#pragma once

#include <ramie/detail/abi.h>

#include <cstdint>
#include <stdexcept>

namespace ramie {

// Not a std::exception: a handler of errors must not take the end of its fiber for one.
class cancelled {
 public:
  [[nodiscard]] const char* what() const noexcept { return "the fiber was cancelled"; }
};

// Thrown by a wait when the time of a ramie::timeout scope is over (timeout.h).
class timeout_error : public std::runtime_error {
 public:
  explicit timeout_error(std::uint64_t scope)
      : std::runtime_error("the time of a ramie::timeout is over"), scope_(scope) {}

  // The number of the scope, see timeout::id().
  [[nodiscard]] std::uint64_t scope() const noexcept { return scope_; }

 private:
  std::uint64_t scope_;
};

namespace detail {

// Throws cancelled or timeout_error if that is what the running fiber has to do.
inline void throw_interruption(std::int64_t deadline) {
  interruption why = take_interruption(deadline);
  if (why.is_cancel) {
    throw cancelled();
  }
  if (why.ended != nullptr) {
    throw timeout_error(why.ended->id);
  }
}

}  // namespace detail

namespace this_fiber {

// While one lives, waits of this fiber end by neither cancel() nor a time-out scope.  They nest.
class [[nodiscard]] cancellation_disabled {
 public:
  cancellation_disabled() noexcept : counts_(detail::forbid_interruptions()) {}
  ~cancellation_disabled() {
    if (counts_) {
      detail::allow_interruptions();
    }
  }
  cancellation_disabled(const cancellation_disabled&) = delete;
  cancellation_disabled& operator=(const cancellation_disabled&) = delete;

 private:
  bool counts_;
};

// Whether the next wait will throw.  Never switches.
[[nodiscard]] inline bool interruption_requested() noexcept { return detail::is_interrupted(); }

// Throws if it would.  For computations, and after a blocking call of libc that failed with
// ECANCELED (`ramie run` ends those of spawned fibers so).  Never switches.
inline void interruption_point() {
  if (detail::is_interrupted()) [[unlikely]] {
    detail::throw_interruption(detail::never);
  }
}

}  // namespace this_fiber
}  // namespace ramie

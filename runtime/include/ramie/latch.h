// A latch: a counter that goes down, once, and lets everybody go on who waits for its zero.  By the
// name and the rules of the standard.
#pragma once

#include <ramie/detail/deadline.h>
#include <ramie/detail/park.h>

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <limits>

namespace ramie {

// May be constinit; 4 bytes.  It may be destroyed as soon as one wait has returned and nobody else
// will call it any more.
class latch {
 public:
  [[nodiscard]] static constexpr std::ptrdiff_t max() noexcept {
    return std::numeric_limits<std::int32_t>::max();
  }

  // `expected` between 0 and max().
  constexpr explicit latch(std::ptrdiff_t expected) : word_(static_cast<std::uint32_t>(expected)) {}
  latch(const latch&) = delete;
  latch& operator=(const latch&) = delete;

  // Counts down by at most what is left, and wakes everybody at zero.  Never switches.
  void count_down(std::ptrdiff_t update = 1) noexcept {
    auto by = static_cast<std::uint32_t>(update);
    // Release: what came before the count; acquire, so that the last one passes on what the others
    // released.
    if (word_.fetch_sub(by, std::memory_order_acq_rel) == by) {
      detail::unpark_on(&word_, detail::everybody);
    }
  }

  // Whether zero is reached.
  [[nodiscard]] bool try_wait() const noexcept {
    return word_.load(std::memory_order_acquire) == 0;
  }

  // Waits for zero.  Switches fibers if that isn't reached yet.
  void wait() const { (void)wait_until_deadline(detail::never); }

  // The same with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period>& duration) const {
    return try_wait() || wait_until_deadline(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return try_wait() || wait_until_deadline(detail::deadline_at(time));
  }

  // count_down() and wait().  Switches fibers unless that makes it zero.
  void arrive_and_wait(std::ptrdiff_t update = 1) {
    count_down(update);
    wait();
  }

 private:
  bool wait_until_deadline(std::int64_t deadline) const {
    for (;;) {
      std::uint32_t left = word_.load(std::memory_order_acquire);  // pairs with count_down()
      if (left == 0) {
        return true;
      }
      if (!detail::wait_on(word_, left, deadline)) {
        return try_wait();
      }
    }
  }

  detail::word word_;  // what is left; waiters park on it
};

}  // namespace ramie

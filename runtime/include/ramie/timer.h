// A point in time as something to wait for together with others (wait.h):
//
//     ramie::timer limit(5s);
//     if (ramie::wait_any(worker, limit) == 1) ... // five seconds were not enough
//
// For one wait with a limit the _for functions do, for a stretch of code ramie::timeout.
#pragma once

#include <ramie/detail/deadline.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstdint>
#include <memory>

namespace ramie {

// Expires once.  While it runs, a fiber of the kernel thread that made it sleeps for it.  Neither
// moves nor copies; any fiber and thread may wait.
class timer {
 public:
  // Throws what spawn() throws.
  template <class Rep, class Period>
  explicit timer(const std::chrono::duration<Rep, Period>& duration)
      : timer(detail::deadline_after(duration)) {}
  template <class Clock, class Duration>
  explicit timer(const std::chrono::time_point<Clock, Duration>& time)
      : timer(detail::deadline_at(time)) {}
  timer(const timer&) = delete;
  timer& operator=(const timer&) = delete;
  ~timer() { cancel(); }

  // From here on it does not expire.  No effect on one that has.  Never switches.
  void cancel() noexcept { sleeper_.cancel(); }

  // Whether its time has come.  Never switches.
  [[nodiscard]] bool has_expired() const noexcept { return expired_->is_set(); }

  // Waits until it expires.  Switches fibers if it has not.
  void wait() const { expired_->wait(); }

  // For wait_any() and its relatives.
  [[nodiscard]] detail::wait_key key() const noexcept { return expired_->key(); }

 private:
  explicit timer(std::int64_t deadline)
      : expired_(std::make_shared<event>()),
        sleeper_(spawn({.name = "timer", .stays = true}, [deadline, expired = expired_] {
          detail::wait_done(detail::sleep_until(deadline), deadline);
          expired->set();
        })) {}

  std::shared_ptr<event> expired_;  // shared, since the sleeper may end later
  fiber<void> sleeper_;
};

}  // namespace ramie

// Locks and signals for fibers: what <mutex>, <condition_variable> and <semaphore> have, by the
// same names and rules, and an event.
//
// Fibers wait by letting other fibers run; plain kernel threads wait in the kernel; both may use
// one object.  None allocates, all may be constinit and shared by any number of waiters, and
// unlocking, notifying, releasing and setting never switch fibers.  Signals end no wait; cancel()
// and time-out scopes do, by an exception (cancel.h).  A lock
// belongs to a fiber by convention alone: no type here notices that another fiber unlocks it.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/cancel.h>
#include <ramie/detail/deadline.h>

#include <atomic>
#include <chrono>
#include <condition_variable>  // std::cv_status
#include <cstddef>
#include <cstdint>
#include <limits>
#include <mutex>  // std::unique_lock

namespace ramie {

// A mutual exclusion lock, not recursive; meets the standard's TimedLockable.  8 bytes.  Waiters
// get it in their order as a rule; one that runs may overtake each a few times, and no more.
class mutex {
 public:
  constexpr mutex() noexcept = default;
  mutex(const mutex&) = delete;
  mutex& operator=(const mutex&) = delete;

  // Waits until the lock is free and takes it.  Switches fibers only if it isn't.
  void lock() {
    if (!try_lock_from(detail::mutex_free)) {
      lock_slowly(detail::never);
    }
  }

  // Takes the lock if that needs no waiting.  Never switches.
  [[nodiscard]] bool try_lock() {
    // With waiters behind the one that was woken, "free" has another bit.
    return try_lock_from(detail::mutex_free) || try_lock_from(detail::mutex_parked);
  }

  // Like lock(), with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) {
    return try_lock_from(detail::mutex_free) || lock_slowly(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) {
    return try_lock_from(detail::mutex_free) || lock_slowly(detail::deadline_at(time));
  }

  // Frees the lock, and wakes a waiter.  The lock must be held.
  void unlock() {
    std::uint32_t seen = detail::mutex_locked;
    if (!word_.compare_exchange_strong(seen, detail::mutex_free, std::memory_order_release,
                                       std::memory_order_relaxed)) {
      detail::unlock_slowly(word_);
    }
  }

 private:
  friend class condition_variable;

  bool try_lock_from(std::uint32_t unlocked) {
    return word_.compare_exchange_strong(unlocked, unlocked | detail::mutex_locked,
                                         std::memory_order_acquire, std::memory_order_relaxed);
  }

  bool lock_slowly(std::int64_t deadline) {
    return detail::wait_done(detail::lock_slowly(word_, deadline), deadline);
  }

  detail::word word_ = detail::mutex_free;
  [[maybe_unused]] std::uint32_t reserved_ = 0;  // room for later versions
};

// The standard's other name for it.
using timed_mutex = mutex;

// A condition variable, used with a std::unique_lock of a ramie::mutex, which the caller holds.
// 8 bytes.  Waits may end for no reason, so give a predicate or use a loop.
class condition_variable {
 public:
  constexpr condition_variable() noexcept = default;
  condition_variable(const condition_variable&) = delete;
  condition_variable& operator=(const condition_variable&) = delete;

  // Wakes one waiter, or all.  With the mutex held or not.
  void notify_one() noexcept {
    if (word_.load(std::memory_order_relaxed) != 0) {
      detail::notify_one(word_);
    }
  }
  void notify_all() noexcept {
    if (word_.load(std::memory_order_relaxed) != 0) {
      detail::notify_all(word_);
    }
  }

  // Unlocks, waits for a notification, and locks again, which takes as long as it takes.  Switches
  // fibers.  With a predicate: waits until it is true, and returns whether it is.
  void wait(std::unique_lock<mutex>& lock) { (void)wait_until_deadline(lock, detail::never); }
  template <class Predicate>
  void wait(std::unique_lock<mutex>& lock, Predicate predicate) {
    while (!predicate()) {
      wait(lock);
    }
  }

  // The same with a limit.  Without a predicate: whether it passed first; with one: the predicate's
  // last answer.
  template <class Rep, class Period>
  std::cv_status wait_for(std::unique_lock<mutex>& lock,
                          const std::chrono::duration<Rep, Period>& duration) {
    return wait_until_deadline(lock, detail::deadline_after(duration));
  }
  template <class Rep, class Period, class Predicate>
  bool wait_for(std::unique_lock<mutex>& lock, const std::chrono::duration<Rep, Period>& duration,
                Predicate predicate) {
    return wait_until_true(lock, detail::deadline_after(duration), predicate);
  }

  // The same until a point in time.
  template <class Clock, class Duration>
  std::cv_status wait_until(std::unique_lock<mutex>& lock,
                            const std::chrono::time_point<Clock, Duration>& time) {
    return wait_until_deadline(lock, detail::deadline_at(time));
  }
  template <class Clock, class Duration, class Predicate>
  bool wait_until(std::unique_lock<mutex>& lock,
                  const std::chrono::time_point<Clock, Duration>& time, Predicate predicate) {
    return wait_until_true(lock, detail::deadline_at(time), predicate);
  }

 private:
  std::cv_status wait_until_deadline(std::unique_lock<mutex>& lock, std::int64_t deadline) {
    bool notified =
        detail::wait_done(detail::wait_condition(word_, lock.mutex()->word_, deadline), deadline);
    return notified ? std::cv_status::no_timeout : std::cv_status::timeout;
  }
  template <class Predicate>
  bool wait_until_true(std::unique_lock<mutex>& lock, std::int64_t deadline, Predicate& predicate) {
    while (!predicate()) {
      if (wait_until_deadline(lock, deadline) == std::cv_status::timeout) {
        return predicate();
      }
    }
    return true;
  }

  detail::word word_ = 0;
  [[maybe_unused]] std::uint32_t reserved_ = 0;  // room for later versions
};

// A semaphore that counts up to Most.  8 bytes.  It may be destroyed once all calls on it have
// returned.
template <std::ptrdiff_t Most = std::numeric_limits<std::uint32_t>::max() / detail::semaphore_unit>
class counting_semaphore {
  static_assert(Most >= 0 &&
                Most <= std::numeric_limits<std::uint32_t>::max() / detail::semaphore_unit);

 public:
  // `units` between 0 and max().
  constexpr explicit counting_semaphore(std::ptrdiff_t units)
      : word_(static_cast<std::uint32_t>(units) * detail::semaphore_unit) {}
  counting_semaphore(const counting_semaphore&) = delete;
  counting_semaphore& operator=(const counting_semaphore&) = delete;

  // The most units there can be.
  [[nodiscard]] static constexpr std::ptrdiff_t max() noexcept { return Most; }

  // Adds units and wakes as many waiters.  The sum must not exceed max().
  void release(std::ptrdiff_t units = 1) {
    detail::release_units(word_, static_cast<std::uint32_t>(units));
  }

  // Takes a unit, waiting for one if there is none.  Switches fibers only then.
  [[gnu::always_inline]] void acquire() {
    if (!try_acquire()) {
      acquire_slowly(detail::never);
    }
  }

  // Takes a unit if there is one.  Never switches.
  [[nodiscard]] bool try_acquire() noexcept {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (seen >= detail::semaphore_unit) {
      if (word_.compare_exchange_weak(seen, seen - detail::semaphore_unit,
                                      std::memory_order_acquire, std::memory_order_relaxed)) {
        return true;
      }
    }
    return false;
  }

  // For wait_any() and its relatives (wait.h), which take no unit: there is one to be had, or was.
  [[nodiscard]] detail::wait_key key() const noexcept { return detail::key_of_semaphore(word_); }

  // Like acquire(), with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool try_acquire_for(const std::chrono::duration<Rep, Period>& duration) {
    return try_acquire() || acquire_slowly(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_acquire_until(const std::chrono::time_point<Clock, Duration>& time) {
    return try_acquire() || acquire_slowly(detail::deadline_at(time));
  }

 private:
  [[gnu::always_inline]] bool acquire_slowly(std::int64_t deadline) {
    return detail::wait_done(detail::acquire_slowly(word_, deadline), deadline);
  }

  detail::word word_;
  [[maybe_unused]] std::uint32_t reserved_ = 0;  // room for later versions
};

// A semaphore of one unit.
using binary_semaphore = counting_semaphore<1>;

// A gate: wait() passes while the event is set, and waits while it isn't.  8 bytes.
class event {
 public:
  constexpr event() noexcept = default;
  event(const event&) = delete;
  event& operator=(const event&) = delete;

  // Whether wait() would pass.  Never switches.
  [[nodiscard]] bool is_set() const noexcept {
    return word_.load(std::memory_order_acquire) == detail::event_set;
  }

  // Lets everybody who waits go on, and everybody who comes until clear().
  void set() noexcept { detail::set_event(word_); }
  void clear() noexcept { detail::clear_event(word_); }

  // For wait_any() and its relatives (wait.h).
  [[nodiscard]] detail::wait_key key() const noexcept { return detail::key_of_event(word_); }

  // Returns once the event is set, or was set while this waited.  Switches fibers if it has to
  // wait.
  void wait() {
    if (!is_set()) {
      wait_slowly(detail::never);
    }
  }

  // The same with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool wait_for(const std::chrono::duration<Rep, Period>& duration) {
    return is_set() || wait_slowly(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool wait_until(const std::chrono::time_point<Clock, Duration>& time) {
    return is_set() || wait_slowly(detail::deadline_at(time));
  }

 private:
  bool wait_slowly(std::int64_t deadline) {
    return detail::wait_done(detail::wait_event(word_, deadline), deadline);
  }

  detail::word word_ = 0;
  [[maybe_unused]] std::uint32_t reserved_ = 0;  // room for later versions
};

static_assert(sizeof(mutex) == 8 && sizeof(condition_variable) == 8 &&
              sizeof(binary_semaphore) == 8 && sizeof(event) == 8);

}  // namespace ramie

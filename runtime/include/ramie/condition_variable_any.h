// A condition variable for every kind of lock, with waits that a std::stop_token ends, by the name
// and the rules of the standard.
#pragma once

#include <ramie/cancel.h>
#include <ramie/detail/deadline.h>
#include <ramie/detail/park.h>

#include <atomic>
#include <chrono>
#include <condition_variable>  // std::cv_status
#include <cstdint>
#include <memory>
#include <stop_token>

namespace ramie {

// Lock is anything with lock() and unlock(), which the caller of a wait holds.  The object may be
// destroyed once everybody is notified, as the standard wants it; for that it keeps its state on
// the heap. For a std::unique_lock<ramie::mutex>, condition_variable is smaller and faster.
class condition_variable_any {
 public:
  condition_variable_any() : state_(std::make_shared<state>()) {}
  condition_variable_any(const condition_variable_any&) = delete;
  condition_variable_any& operator=(const condition_variable_any&) = delete;

  // Wakes one waiter, or all.  With the lock held or not.  Never switches.
  void notify_one() noexcept { state_->notify(1); }
  void notify_all() noexcept { state_->notify(detail::everybody); }

  // Unlocks, waits for a notification, and locks again, which takes as long as it takes: no
  // cancellation ends that.  May return for no reason.  Switches fibers.
  template <class Lock>
  void wait(Lock& lock) {
    (void)wait_until_deadline(lock, detail::never, keep_waiting);
  }
  template <class Lock, class Predicate>
  void wait(Lock& lock, Predicate predicate) {
    (void)wait_until_true(lock, detail::never, predicate, keep_waiting);
  }

  // With a limit; with a predicate, they return its last answer.
  template <class Lock, class Rep, class Period>
  std::cv_status wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& duration) {
    return wait_until_deadline(lock, detail::deadline_after(duration), keep_waiting);
  }
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, const std::chrono::duration<Rep, Period>& duration,
                Predicate predicate) {
    return wait_until_true(lock, detail::deadline_after(duration), predicate, keep_waiting);
  }
  template <class Lock, class Clock, class Duration>
  std::cv_status wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& time) {
    return wait_until_deadline(lock, detail::deadline_at(time), keep_waiting);
  }
  template <class Lock, class Clock, class Duration, class Predicate>
  bool wait_until(Lock& lock, const std::chrono::time_point<Clock, Duration>& time,
                  Predicate predicate) {
    return wait_until_true(lock, detail::deadline_at(time), predicate, keep_waiting);
  }

  // Until the predicate is true or a stop is requested; they return the predicate's last answer.
  template <class Lock, class Predicate>
  bool wait(Lock& lock, std::stop_token stop, Predicate predicate) {
    return wait_stoppable(lock, stop, detail::never, predicate);
  }
  template <class Lock, class Rep, class Period, class Predicate>
  bool wait_for(Lock& lock, std::stop_token stop,
                const std::chrono::duration<Rep, Period>& duration, Predicate predicate) {
    return wait_stoppable(lock, stop, detail::deadline_after(duration), predicate);
  }
  template <class Lock, class Clock, class Duration, class Predicate>
  bool wait_until(Lock& lock, std::stop_token stop,
                  const std::chrono::time_point<Clock, Duration>& time, Predicate predicate) {
    return wait_stoppable(lock, stop, detail::deadline_at(time), predicate);
  }

 private:
  // The sequence changes with each notification, so none is lost between the unlocking and the
  // wait.
  struct state {
    detail::word sequence = 0;
    // A waiter counts itself with its lock held, and whoever changed the condition had the lock
    // before or has it later: so a notifier that finds nobody has nobody to wake.
    detail::word waiters = 0;

    void notify(std::uint32_t count) noexcept {
      if (waiters.load(std::memory_order_relaxed) > 0) {
        wake(count);
      }
    }
    void wake(std::uint32_t count) noexcept {
      sequence.fetch_add(1, std::memory_order_release);  // pairs with the waiter's load
      detail::unpark_on(&sequence, count);
    }
  };

  static bool keep_waiting() { return false; }

  // `stops` is asked after the sequence is read and before the wait: whoever makes it true wakes
  // everybody afterwards.
  template <class Lock, class Stops>
  std::cv_status wait_until_deadline(Lock& lock, std::int64_t deadline, Stops stops) {
    std::shared_ptr<state> kept = state_;
    kept->waiters.fetch_add(1, std::memory_order_relaxed);
    struct relock {
      state& counted;
      Lock* lock;
      ~relock() noexcept(false) {
        counted.waiters.fetch_sub(1, std::memory_order_relaxed);
        if (lock != nullptr) {
          // The caller unlocks in any case; and a notification that was taken is not lost.
          this_fiber::cancellation_disabled quiet;
          lock->lock();
        }
      }
    } guard{*kept, nullptr};
    std::uint32_t before = kept->sequence.load(std::memory_order_acquire);
    if (stops()) {
      return std::cv_status::no_timeout;
    }
    lock.unlock();
    guard.lock = &lock;
    return detail::wait_on(kept->sequence, before, deadline) ? std::cv_status::no_timeout
                                                             : std::cv_status::timeout;
  }

  template <class Lock, class Predicate, class Stops>
  bool wait_until_true(Lock& lock, std::int64_t deadline, Predicate& predicate, Stops stops) {
    while (!predicate()) {
      if (stops() || wait_until_deadline(lock, deadline, stops) == std::cv_status::timeout) {
        return predicate();
      }
    }
    return true;
  }

  template <class Lock, class Predicate>
  bool wait_stoppable(Lock& lock, const std::stop_token& stop, std::int64_t deadline,
                      Predicate& predicate) {
    // The callback must not wait for anything: it may run on a fiber whose kernel thread is that of
    // the one who removes it here.
    std::stop_callback wake_up(stop, [kept = state_] { kept->wake(detail::everybody); });
    return wait_until_true(lock, deadline, predicate, [&] { return stop.stop_requested(); });
  }

  std::shared_ptr<state> state_;
};

}  // namespace ramie

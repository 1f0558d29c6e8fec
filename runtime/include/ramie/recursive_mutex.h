// A mutex that its holder may lock again, by the name and the rules of the standard.
#pragma once

#include <ramie/detail/deadline.h>
#include <ramie/detail/park.h>
#include <ramie/sync.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace ramie {

// Meets TimedLockable.  The holder is a fiber, or a thread outside of fibers; the others wait as
// for a ramie::mutex.  It must be unlocked by its holder, as often as that has locked it.  May be
// constinit; 24 bytes.
class recursive_mutex {
 public:
  constexpr recursive_mutex() noexcept = default;
  recursive_mutex(const recursive_mutex&) = delete;
  recursive_mutex& operator=(const recursive_mutex&) = delete;

  // Takes the lock, once more if the caller has it.  Switches fibers only if another holds it.
  void lock() {
    const void* self = detail::this_flow();
    if (!is_held_by(self)) {
      mutex_.lock();
      take(self);
    }
    ++depth_;
  }

  // Takes it if that needs no waiting.  Never switches.
  [[nodiscard]] bool try_lock() {
    return try_by([this] { return mutex_.try_lock(); });
  }

  // Like lock(), with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) {
    return try_by([&] { return mutex_.try_lock_for(duration); });
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) {
    return try_by([&] { return mutex_.try_lock_until(time); });
  }

  // Takes back one locking; the last one frees the lock and wakes a waiter.  Never switches.
  void unlock() {
    if (--depth_ == 0) {
      holder_.store(nullptr, std::memory_order_relaxed);
      mutex_.unlock();
    }
  }

 private:
  // Only the holder's own address answers yes, and that it has stored itself.
  [[nodiscard]] bool is_held_by(const void* self) const noexcept {
    return holder_.load(std::memory_order_relaxed) == self;
  }
  void take(const void* self) noexcept { holder_.store(self, std::memory_order_relaxed); }

  template <class Try>
  bool try_by(Try try_mutex) {
    const void* self = detail::this_flow();
    if (!is_held_by(self)) {
      if (!try_mutex()) {
        return false;
      }
      take(self);
    }
    ++depth_;
    return true;
  }

  mutex mutex_;
  std::atomic<const void*> holder_ = nullptr;
  std::uint32_t depth_ = 0;  // the holder's
};

// The standard's other name for it.
using recursive_timed_mutex = recursive_mutex;

}  // namespace ramie

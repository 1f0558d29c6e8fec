// What the public types guard their own state with: a mutex and a condition that are not themselves
// public, since nobody must be cancelled while he waits for an inner lock.  Not part of the
// interface.
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/park.h>

#include <atomic>
#include <cstdint>

namespace ramie::detail {

// ramie::mutex's word and protocol.
class inner_mutex {
 public:
  constexpr inner_mutex() noexcept = default;
  inner_mutex(const inner_mutex&) = delete;
  inner_mutex& operator=(const inner_mutex&) = delete;

  void lock() noexcept {
    std::uint32_t seen = mutex_free;
    if (!word_.compare_exchange_strong(seen, mutex_locked, std::memory_order_acquire,
                                       std::memory_order_relaxed)) {
      lock_quietly(word_);
    }
  }
  void unlock() noexcept {
    std::uint32_t seen = mutex_locked;
    if (!word_.compare_exchange_strong(seen, mutex_free, std::memory_order_release,
                                       std::memory_order_relaxed)) {
      unlock_slowly(word_);
    }
  }

 private:
  word word_ = mutex_free;
};

// Who waits for a change of what an inner_mutex guards; all of it is used with that mutex held.
// The sequence changes with each notification, so none is lost between the unlocking and the wait.
class inner_condition {
 public:
  constexpr inner_condition() noexcept = default;
  inner_condition(const inner_condition&) = delete;
  inner_condition& operator=(const inner_condition&) = delete;

  // Unlocks, waits, locks again.  False if the deadline passed first; may return early.
  [[nodiscard]] bool wait(inner_mutex& mutex, std::int64_t deadline) {
    // Also where the wait ends by an exception.
    struct relock {
      inner_condition& condition;
      inner_mutex& mutex;
      ~relock() {
        mutex.lock();
        --condition.waiters_;
      }
    };
    ++waiters_;
    std::uint32_t before = sequence_.load(std::memory_order_relaxed);
    mutex.unlock();
    relock guard{*this, mutex};
    return wait_on(sequence_, before, deadline);
  }

  void notify_one() noexcept { notify(1); }
  void notify_all() noexcept { notify(everybody); }

 private:
  void notify(std::uint32_t count) noexcept {
    if (waiters_ > 0) {
      sequence_.store(sequence_.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
      unpark_on(&sequence_, count);
    }
  }

  word sequence_ = 0;
  std::uint32_t waiters_ = 0;
};

}  // namespace ramie::detail

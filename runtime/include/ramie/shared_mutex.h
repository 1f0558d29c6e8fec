// A lock for many readers or one writer, by the name and the rules of the standard.
//
// The word counts the readers and says who is parked:
//
// | bits     | mean                                                                           |
// |----------|--------------------------------------------------------------------------------|
// | holders  | how many readers hold the lock; `written` stands for one writer                |
// | readers  | readers may be parked on the word                                              |
// | writers  | writers may be parked on writer_turn_; new readers queue up behind them        |
// | urgent   | somebody was woken several times and lost each time; newcomers queue up        |
//
// An unlock that leaves nobody inside wakes one writer, or all readers where no writer waits.  The
// one that is woken competes with whoever comes, unless that one respects `urgent`; so where that
// is set and nobody is inside, somebody who was woken is on its way.  A waiter that gives up can't
// know what the others still need: it clears all bits and wakes everybody, and who still has to
// wait sets them again.  (The protocol is that of the futex-based RwLock in Rust's standard
// library; deadlines and `urgent` are added.)
#pragma once

#include <ramie/detail/deadline.h>
#include <ramie/detail/park.h>

#include <atomic>
#include <chrono>
#include <cstdint>

namespace ramie {

// Meets SharedTimedLockable, so std::unique_lock, std::scoped_lock and std::shared_lock take it.
// May be constinit; 8 bytes.  Writers go before readers that come later.  Not recursive, in neither
// way: who holds it and asks again may wait for himself.  It may be destroyed once all calls on it
// have returned.
class shared_mutex {
 public:
  constexpr shared_mutex() noexcept = default;
  shared_mutex(const shared_mutex&) = delete;
  shared_mutex& operator=(const shared_mutex&) = delete;

  // The writer's side.  Switches fibers only if anybody holds the lock.
  void lock() {
    if (!try_lock()) {
      (void)lock_slowly(detail::never);
    }
  }
  [[nodiscard]] bool try_lock() {
    std::uint32_t seen = 0;
    do {
      if ((seen & (holders | urgent)) != 0) {
        return false;
      }
    } while (!acquire(seen, seen | written));
    return true;
  }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_for(const std::chrono::duration<Rep, Period>& duration) {
    return try_lock() || lock_slowly(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_until(const std::chrono::time_point<Clock, Duration>& time) {
    return try_lock() || lock_slowly(detail::deadline_at(time));
  }
  // Never switches.
  void unlock() {
    // Release pairs with acquire().
    std::uint32_t left = word_.fetch_sub(written, std::memory_order_release) - written;
    if (left != 0) {
      wake(left);
    }
  }

  // The reader's side.  Switches fibers only if a writer has the lock or waits for it.
  void lock_shared() {
    if (!try_lock_shared()) {
      (void)lock_shared_slowly(detail::never);
    }
  }
  [[nodiscard]] bool try_lock_shared() {
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    while (is_readable(seen)) {
      if (acquire(seen, seen + 1)) {
        return true;
      }
    }
    return false;
  }
  template <class Rep, class Period>
  [[nodiscard]] bool try_lock_shared_for(const std::chrono::duration<Rep, Period>& duration) {
    return try_lock_shared() || lock_shared_slowly(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool try_lock_shared_until(const std::chrono::time_point<Clock, Duration>& time) {
    return try_lock_shared() || lock_shared_slowly(detail::deadline_at(time));
  }
  // Never switches.
  void unlock_shared() {
    std::uint32_t left = word_.fetch_sub(1, std::memory_order_release) - 1;
    // Readers alone are parked only for a moment, behind a writer that is gone already.
    if ((left & holders) == 0 && left != 0) {
      wake(left);
    }
  }

 private:
  static constexpr unsigned patience = 3;
  static constexpr std::uint32_t written = (1U << 29) - 1;
  static constexpr std::uint32_t holders = written;
  static constexpr std::uint32_t most_readers = written - 1;
  static constexpr std::uint32_t urgent = 1U << 29;
  static constexpr std::uint32_t readers = 1U << 30;
  static constexpr std::uint32_t writers = 1U << 31;

  static constexpr bool is_readable(std::uint32_t seen) {
    return (seen & holders) < most_readers && (seen & (readers | writers | urgent)) == 0;
  }

  // On failure `seen` is the word.
  bool acquire(std::uint32_t& seen, std::uint32_t next) {
    return word_.compare_exchange_weak(seen, next, std::memory_order_acquire,
                                       std::memory_order_relaxed);
  }

  // Sets the bit that says somebody will park, and that it is urgent while somebody is inside.
  // False if the word has changed.
  bool announce(std::uint32_t& seen, std::uint32_t bit, unsigned lost) {
    if (lost >= patience && (seen & holders) != 0) {
      bit |= urgent;
    }
    if ((seen & bit) != bit) {
      if (!word_.compare_exchange_weak(seen, seen | bit, std::memory_order_relaxed)) {
        return false;
      }
      seen |= bit;
    }
    return true;
  }

  // Clears up behind a waiter that leaves without the lock, by an exception as well.
  struct giving_up {
    shared_mutex* lock;
    ~giving_up() {
      if (lock != nullptr) {
        lock->wake_everybody();
      }
    }
    bool not_at_all() {
      lock = nullptr;
      return true;
    }
  };

  bool lock_shared_slowly(std::int64_t deadline) {
    giving_up guard{this};
    unsigned lost = 0;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      bool is_next = lost >= patience && (seen & holders) < most_readers;
      if (is_next || is_readable(seen)) {
        if (acquire(seen, (is_next ? seen & ~urgent : seen) + 1)) {
          return guard.not_at_all();
        }
      } else if (announce(seen, readers, lost)) {
        if (!detail::wait_on(word_, seen, deadline)) {
          return try_lock_shared();
        }
        ++lost;
        seen = word_.load(std::memory_order_relaxed);
      }
    }
  }

  bool lock_slowly(std::int64_t deadline) {
    giving_up guard{this};
    // Others like this one may be parked: whoever was woken can't tell, and keeps the bit.
    std::uint32_t others = 0;
    unsigned lost = 0;
    std::uint32_t seen = word_.load(std::memory_order_relaxed);
    for (;;) {
      if (is_for_me(seen, lost)) {
        if (acquire(seen, (seen & ~urgent) | written | others)) {
          return guard.not_at_all();
        }
        continue;
      }
      if (!announce(seen, writers, lost)) {
        continue;
      }
      others = writers;
      std::uint32_t turn =
          writer_turn_.load(std::memory_order_acquire);  // pairs with wake_writer()
      // Whoever unlocked in between has changed the word or will change the turn.
      seen = word_.load(std::memory_order_relaxed);
      if (is_for_me(seen, lost) || (seen & writers) == 0) {
        continue;
      }
      if (!detail::wait_on(writer_turn_, turn, deadline)) {
        return try_lock();
      }
      ++lost;
      seen = word_.load(std::memory_order_relaxed);
    }
  }

  // A writer may take it: nobody is inside, and a newcomer overtakes nobody who is urgent.
  static constexpr bool is_for_me(std::uint32_t seen, unsigned lost) {
    return (seen & holders) == 0 && (lost > 0 || (seen & urgent) == 0);
  }

  // Nobody is inside, and somebody may be parked.  Who comes in meanwhile does the rest as he
  // leaves. But who finds somebody urgent only announces himself and parks: so where the word has
  // changed and nobody is inside, it is looked at once more (model/shared_mutex.pml).
  void wake(std::uint32_t seen) {
    bool no_writer_was_parked = false;
    while ((seen & holders) == 0 && (seen & (readers | writers)) != 0) {
      const bool has_readers = (seen & readers) != 0;
      const bool is_for_readers = has_readers && ((seen & writers) == 0 || no_writer_was_parked);
      const std::uint32_t left = seen & ~(is_for_readers ? readers : writers);
      if (!word_.compare_exchange_strong(seen, left, std::memory_order_relaxed)) {
        continue;
      }
      if (is_for_readers) {
        detail::unpark_on(&word_, detail::everybody);
        return;
      }
      // A writer that has only announced itself sees the turn change.
      if (wake_writer() || !has_readers) {
        return;
      }
      no_writer_was_parked = true;
      seen = left;
    }
  }

  bool wake_writer() {
    writer_turn_.fetch_add(1, std::memory_order_release);
    return detail::unpark_on(&writer_turn_, 1) > 0;
  }

  void wake_everybody() {
    word_.fetch_and(~(readers | writers | urgent), std::memory_order_relaxed);
    writer_turn_.fetch_add(1, std::memory_order_release);
    detail::unpark_on(&writer_turn_, detail::everybody);
    detail::unpark_on(&word_, detail::everybody);
  }

  detail::word word_ = 0;
  detail::word writer_turn_ = 0;
};

// The standard's other name for it.
using shared_timed_mutex = shared_mutex;

}  // namespace ramie

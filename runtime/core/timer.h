// Timers of a carrier: when a parked fiber's deadline passes, its ticket is unparked with
// Wake::timed_out.  Set and cancel cost O(log n) in a 4-ary heap of (time, timer) pairs.
//
// The owning carrier fires timers, and the watchdog does for one that is stuck or has ended.  Any
// carrier may cancel one, because a fiber that was woken early may resume elsewhere; so the heap
// has a lock.
#pragma once

#include <cstddef>
#include <cstdint>

#include "base/deadline.h"
#include "base/lock.h"
#include "core/ticket.h"

namespace ramie::core {

class TimerHeap;

// Lives in the fiber: a fiber waits for one deadline at a time.
struct Timer {
  static constexpr uint32_t kNowhere = ~0U;

  TimerHeap* heap = nullptr;
  uint32_t index = kNowhere;  // place in the heap; guarded by the heap's lock
  Ticket ticket;
};

class TimerHeap {
 public:
  constexpr TimerHeap() = default;
  TimerHeap(const TimerHeap&) = delete;
  TimerHeap& operator=(const TimerHeap&) = delete;

  void set(Timer& timer, Ticket ticket, base::Deadline deadline);

  // No effect on a timer that has fired or was never set.
  static void cancel(Timer& timer);

  // The earliest deadline, never() without a timer.
  [[nodiscard]] base::Deadline next();

  [[nodiscard]] uint32_t size();

  // Takes one timer that is due out of the heap; false when there is none.
  [[nodiscard]] bool take_due(int64_t now, Ticket& ticket);

  // After fork, in the child: forgets all timers.
  void reset();

 private:
  struct Entry {
    int64_t at;
    Timer* timer;
  };

  // Room for twice as many.  False where there is no memory.
  [[nodiscard]] bool grow() RAMIE_REQUIRES(lock_);
  void place(uint32_t index, Entry entry) RAMIE_REQUIRES(lock_);
  void sift_up(uint32_t index, Entry entry) RAMIE_REQUIRES(lock_);
  void sift_down(uint32_t index, Entry entry) RAMIE_REQUIRES(lock_);
  void remove(uint32_t index) RAMIE_REQUIRES(lock_);

  // The first ones have their place here: where address space is limited, there may be no more.
  static constexpr uint32_t kFirst = 64;

  base::Lock lock_;
  Entry* entries_ RAMIE_GUARDED_BY(lock_) = nullptr;  // `first_`, or a mapping; null: none yet
  uint32_t capacity_ RAMIE_GUARDED_BY(lock_) = 0;
  uint32_t size_ RAMIE_GUARDED_BY(lock_) = 0;
  Entry first_[kFirst] RAMIE_GUARDED_BY(lock_) = {};
};

}  // namespace ramie::core

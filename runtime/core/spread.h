// Carriers that share a processor while another one has none.
//
// The kernel wakes a carrier on the processor of whoever calls it, and where those who ask keep the
// other processors busy it leaves it there: each carrier then runs half of the time, and all
// answers go to another processor.  So carriers tell each other where they run, and one that meets
// another again and again goes away.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "base/lock.h"

namespace ramie::core {

struct Carrier;

// A carrier's notes, its own but for `place`.
struct Spread {
  static constexpr int64_t kInterval = 1'000'000;  // ns between two looks
  static constexpr int64_t kStay = 10'000'000;     // after a move
  static constexpr uint32_t kMeetings = 3;         // looks that found another one here, in a row

  // When it looked last, in intervals, and the processor that it found itself on; 0 before the
  // first.
  std::atomic<uint64_t> place = 0;
  int64_t next_look = 0;
  uint64_t last = 0;  // the others' places that are not newer have been seen
  uint32_t met = 0;

  static constexpr unsigned kProcessorBits = 16;
  static constexpr uint64_t pack(int64_t now, uint32_t processor) {
    return static_cast<uint64_t>(now / kInterval) << kProcessorBits | processor;
  }
  static constexpr uint32_t processor_of(uint64_t place) {
    return static_cast<uint32_t>(place) & ((1U << kProcessorBits) - 1);
  }

  // Of one look: another carrier that is awake was last at `other`.  Places that are not newer than
  // the last look say nothing: that carrier may have been moved since.
  enum class Sight : uint8_t { nothing, elsewhere, here };
  [[nodiscard]] Sight see(uint64_t other, uint32_t processor) const {
    if (other >> kProcessorBits <= last >> kProcessorBits) {
      return Sight::nothing;
    }
    return processor_of(other) == processor ? Sight::here : Sight::elsewhere;
  }

  // The look ends; the best that was seen.  True: go away.
  [[nodiscard]] bool judge(Sight sight) {
    if (sight == Sight::elsewhere) {
      met = 0;
    } else if (sight == Sight::here) {
      ++met;
    }
    return met >= kMeetings;
  }
};

// When the watchdog looks again for those that it may part.
struct Patience {
  static constexpr int64_t kLeast = 5 * Spread::kStay;
  static constexpr int64_t kMost = 1'000'000'000;

  int64_t next = 0;
  int64_t interval = kLeast;
  uint32_t stuck = 0;

  [[nodiscard]] bool is_over(int64_t now, uint32_t stuck_now) {
    if (stuck != stuck_now) {
      stuck = stuck_now;
      interval = kLeast;
      next = std::min(next, now + Spread::kStay);
    }
    return now >= next;
  }
  void succeed(int64_t now) {
    interval = kLeast;
    next = now + Spread::kStay;
  }
  // Nothing was to be gained, and that may last.
  void fail(int64_t now) {
    next = now + interval;
    interval = std::min(2 * interval, kMost);
  }
};

// Whoever changes the processors of another carrier of the crew holds it: one that goes away
// changes its own, and puts back what it found.
extern base::Lock moving;

// The calling carrier's loop has its turn, with `now` as its clock.  It is of the crew: who stands
// apart runs where the program says.
void look_at_neighbours(Carrier& carrier);

// The watchdog, at each look while two or more carriers are stuck, so many.  One of those that
// compute on one processor goes to another one, if no such carrier is there: they don't pass their
// loops, and the kernel may take a tenth of a second to do it where other programs run.
void part_stuck_carriers(int64_t now, uint32_t stuck_ones);

}  // namespace ramie::core

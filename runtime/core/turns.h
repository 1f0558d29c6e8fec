// How long fibers run before they wait, and whose turn comes first.
//
// The kernel lets a thread that has waited go before those that compute, so a thread that sleeps
// is late by some hundredths of a millisecond beside any number of them.  In one queue it would
// be late by the turns of all that stand before it.  So where turns are long, a carrier measures
// them: its loop then comes after each.  A hosted fiber whose turn was long is `busy`, and the
// others go before it:
//
//   - Those that become ready on a carrier that measures, or while many are stuck, or are woken by
//     a kernel thread, go into the crew's express queue, from which all carriers take first.
//   - Before a busy one has its turn, its carrier looks for timers and events.
//
// After a quarter of a slice in which others have gone first, it is the turn of one of the rest.
#pragma once

#include <cstdint>

#include "core/fiber.h"

namespace ramie::core {

struct Carrier;

// A carrier's own.
struct Turns {
  // Whether turns are long can be seen by the clock; whether that is because fibers compute only by
  // the processor time, which costs a system call: over some turns first, and then over each.
  enum class Look : uint8_t { none, suspects, measures };

  Look look = Look::none;
  uint32_t quick = 0;     // turns since the last long one
  int64_t began = 0;      // when the loop left off, 0 if it has looked since
  int64_t cpu_began = 0;  // and how much processor time had been used, unless it looks for none
  // Since when others have gone before busy ones that are ready, and before all that are in the
  // carrier's queues; 0: none have.
  int64_t busy_since = 0;
  int64_t queue_since = 0;
  Fiber* put_off = nullptr;   // the one that is to run next, unless others come first; in no queue
  uint64_t looked_at = ~0UL;  // Carrier::switches at the last look for others

  [[nodiscard]] bool measures() const { return look == Look::measures; }
  // After how many switches the loop comes again.
  [[nodiscard]] uint32_t span() const {
    constexpr uint32_t kUsual = 128;
    constexpr uint32_t kSuspicious = 8;
    return look == Look::none ? kUsual : look == Look::suspects ? kSuspicious : 1;
  }
};

// Whether it goes before busy ones.
[[nodiscard]] inline bool goes_first(const Fiber& fiber) {
  return fiber.busy == 0 && fiber.kind != FiberKind::light;
}

// The loop: has come again; has slept until `now`, and nobody waits for his turn since longer ago;
// lets fibers run from Carrier::now on.
void end_turns(Carrier& carrier);
void begin_anew(Carrier& carrier, int64_t now);
void begin_turns(Carrier& carrier);

// A carrier that measures: `left` waits or yields, and nobody else may run it yet.
void note_turn(Carrier& carrier, Fiber& left);

// `fiber`, which is busy, was to be next on the calling carrier.  True if it is put off: then the
// loop must be next.
[[nodiscard]] bool put_off(Carrier& carrier, Fiber& fiber);

// The loop has looked for timers and events: the one that was put off, if it is next after all, or
// null.
[[nodiscard]] Fiber* after_others(Carrier& carrier);

// The loop stops running fibers: who was put off, if anybody, goes back into the queue.
void give_back_put_off(Carrier& carrier);

// The loop's choice.
[[nodiscard]] Fiber* take_next(Carrier& carrier);

}  // namespace ramie::core

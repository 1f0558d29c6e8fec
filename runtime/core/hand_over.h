// A fiber that wakes another one and then waits hands its turn over: the other one runs next,
// before those that have been ready for longer, with what the two share still in the cache.  Among
// fibers that are at home on one carrier; see docs/decisions/0020.
//
// Everything else stays first in, first out: nothing is handed over by who wakes several, or spawns
// as well, or only yields.  And nobody is starved, for after so many in a row the next one waits in
// line, and while there are others, which any carrier may run, the carrier takes turns between
// both.
#pragma once

#include <cstdint>

#include "core/run_queue.h"
#include "core/steal_queue.h"

namespace ramie::core {

class HandOver {
 public:
  static constexpr uint32_t kMostInARow = 16;

  // Who runs in this turn (the number of the carrier's switches) makes another one ready.  In an
  // empty queue that is the next one anyway.
  void push(RunQueue& queue, Fiber* woken, uint64_t turn) {
    before_ = turn == turn_ ? nullptr : queue.back();
    turn_ = turn;
    queue.push(woken);
  }

  // Nothing is handed over in that turn: somebody is to be next already.
  void forbid(uint64_t turn) {
    before_ = nullptr;
    turn_ = turn;
  }

  // Who was made ready in that turn so far was so by the fiber before.
  void begin(uint64_t turn) {
    if (turn == turn_) {
      before_ = nullptr;
    }
  }

  // It waits now.  The one that it woke, if that is to run next; null otherwise.
  [[nodiscard]] Fiber* take(RunQueue& queue, const StealQueue& others, uint64_t turn) {
    // Nothing was taken out of the queue since, so what was its end then is still there.
    if (before_ != nullptr && turn == turn_ && in_a_row_ < kMostInARow && others.empty()) {
      ++in_a_row_;
      return queue.take_back(before_);
    }
    in_a_row_ = 0;
    return nullptr;
  }

 private:
  Fiber* before_ = nullptr;  // what was the queue's end when it woke one, if it woke no other
  uint64_t turn_ = UINT64_MAX;
  uint32_t in_a_row_ = 0;
};

}  // namespace ramie::core

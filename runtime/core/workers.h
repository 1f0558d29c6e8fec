// Workers: kernel threads on which light fibers begin, wherever they were spawned
// (ramie/carriers.h).  They are carriers of the crew, with a TCB of libc's making and no code of
// the program's own besides.
//
// While there are workers, a light fiber has no home before it first runs.  Until then it is in the
// StealQueue of the worker on which it was spawned, from which the others steal, or in the shared
// queue if a thread of the program spawned it.  Who takes it out to run it makes itself its home,
// or the worker that has much fewer; from then on the fiber is like any light one, and stays there.
//
// Threads of the program are no workers: they run fibers that are at home there, and no others, so
// that none stands still when such a thread computes.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/deadline.h"
#include "core/carrier.h"

namespace ramie::core {

inline constinit std::atomic<uint32_t> workers_started = 0;
inline constinit std::atomic<bool> workers_serve = false;  // fibers begin on workers from here on

[[nodiscard]] inline bool have_workers() { return workers_serve.load(std::memory_order_relaxed); }

// Whether a carrier of the crew runs fibers that have no home.
[[nodiscard]] inline bool takes_any(const Carrier& carrier) {
  return !have_workers() || carrier.is_worker.load(std::memory_order_relaxed);
}

// The calling kernel thread, which is a carrier, serves as a worker.
[[noreturn]] void serve_as_worker();

// A worker has found work and taken one fiber of it: whether there is more, where it came from or
// elsewhere, is for the next one to see.  (Where it was called to search, end_search() looks at its
// own queue alone, and the watchdog at the others; but workers have none.)
void offer_rest();

// A worker whose own fibers keep it from ever being idle takes others' now and then, too.
void steal_now_and_then(Carrier& carrier);

// While one lives, a worker is about to sleep; and while others are awake, one of which may spawn
// fibers and then compute, it sleeps no longer than kInterval before it looks again.  So whoever
// spawns need not call somebody for each fiber, where that has not paid (see offer_work()).
class Guard {
 public:
  Guard(const Carrier& carrier, base::Deadline& until);
  ~Guard();
  Guard(const Guard&) = delete;
  Guard& operator=(const Guard&) = delete;

 private:
  static constexpr int64_t kInterval = 5'000'000;  // ns

  bool stands_;
};

// A created fiber is made ready for whichever worker comes first.  By a carrier, inside of a
// RuntimeSection; while there are workers.
void start_anywhere(Fiber& fiber, Fiber::Entry entry);

// Fibers that were spawned so, or on a worker, and have not ended, but for those that are counted
// in `workers_aside`.  0 means that there were none at some moment of the call.
[[nodiscard]] uint64_t count_rest_of_workers();
inline constinit std::atomic<uint64_t> workers_aside = 0;

// In the child of a fork there are none.
void reset_workers_after_fork(Fiber& only);

}  // namespace ramie::core

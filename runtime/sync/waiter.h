// One wait in the parking lot, as its queues see it.  Inside of the lot only (sync/parking_lot.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"
#include "core/ticket.h"
#include "sync/function_ref.h"
#include "sync/parking_lot.h"

namespace ramie::sync {

struct Waiter : base::ListLink {
  Waiter() = default;
  Waiter(const void* address, const ParkOptions& options)
      : key(address), bits(options.bits), wants_handoff(options.wants_handoff) {}

  // Changed by requeue() with both buckets locked; read without a lock by the waiter that times
  // out, which then locks and looks again.
  std::atomic<const void*> key = nullptr;
  uint32_t bits = kAllBits;
  bool wants_handoff = false;
  uint32_t token = 0;
  core::Ticket ticket;  // of a fiber; without one it is a kernel thread, and sleeps on ...
  std::atomic<uint32_t> word = 0;  // ... this: 1 means woken
  WatchSet* set = nullptr;         // of a watch, which is neither
  Watch* watch = nullptr;
};

static_assert(sizeof(Waiter) <= sizeof(WatchPlace));
static_assert(alignof(Waiter) <= alignof(WatchPlace));

// In front of the others or behind them, unless validate(), under the bucket's lock, says that
// there is nothing to wait for.
[[nodiscard]] bool enqueue(Waiter& waiter, const void* address, bool front,
                           FunctionRef<bool()> validate);

// A waiter's own way out.  True if it was still queued; false if a waker has taken it.
[[nodiscard]] bool withdraw(Waiter& waiter);

// How a wait that nobody ended has ended.
[[nodiscard]] Outcome outcome_of(core::Wake wake);

}  // namespace ramie::sync

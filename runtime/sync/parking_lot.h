// The parking lot: wait queues keyed by address, whose waiters are fibers *or* plain kernel
// threads. A word in memory, which its owner interprets, plus this: that is every primitive of
// runtime/sync, and futex(2) as the shim emulates it.  (After WebKit's WTF::ParkingLot and Rust's
// parking_lot_core.)
//
// Addresses are only keys here, nothing is ever read or written through them, so an object may be
// destroyed while a wake-up for it is still under way.
//
// Each address belongs to one of kBuckets buckets, each with a lock and a queue of waiters.  The
// protocol, all of it about one waiter's node, which lies on the waiter's stack:
//
// | the node is     | who may touch it                    | how that ends                         |
// |-----------------|-------------------------------------|---------------------------------------|
// | queued          | who holds the lock of the bucket of | a waker takes it out; or a requeue    |
// |                 | node.key                            | changes the key, both locks held; or  |
// |                 |                                     | the waiter itself leaves (time-out)   |
// | taken out by a  | the waker, until it drops the lock  | the waiter returns                    |
// | waker           |                                     |                                       |
//
// So everything that a waker writes into a node is written under the lock, and what it does after
// (unpark a ticket, futex-wake an address) uses copies: the waiter may have returned already, since
// it may time out just then, find its node taken, and count as woken.  A stale ticket wakes nobody;
// a futex-wake of a dead word is at worst a spurious wake-up of whoever lives there now, which
// futex(2) allows at all times.
//
// No clock is read here, and between fibers of one carrier there is no system call.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "base/deadline.h"
#include "base/lock.h"
#include "core/fiber.h"
#include "core/ticket.h"
#include "sync/function_ref.h"

namespace ramie::sync {

inline constexpr uint32_t kAllBits = ~0U;
inline constexpr unsigned kEverybody = std::numeric_limits<unsigned>::max();

enum class Outcome : uint8_t {
  woken,        // a waker chose this waiter, even if the deadline passed at the same moment
  timed_out,    // the deadline passed
  interrupted,  // a signal is to be handled (fiber), or was handled (kernel thread)
  cancelled,    // see core::cancel(): only on an interruptible fiber
  invalid,      // validate() said no; nothing was waited for
};

// Neither woken, nor worth another try.
[[nodiscard]] constexpr bool gave_up(Outcome how) {
  return how == Outcome::timed_out || how == Outcome::cancelled;
}

struct ParkResult {
  Outcome how;
  uint32_t token = 0;  // what the waker passed, if woken
};

struct ParkOptions {
  base::Deadline deadline{};
  uint32_t bits = kAllBits;    // a waker that shares no bit with these doesn't see the waiter
  core::WaitReason reason{};   // for the dumps; none means the address
  bool front = false;          // first in the queue, not last: for one who waited already and lost
  bool wants_handoff = false;  // told to the waker, see UnparkOne
};

// Waits on `address` until unparked.  `validate` runs first, under the bucket's lock: false means
// that there is nothing to wait for.  Wakers change what validate reads and then unpark, so none
// slips in between.  `before_sleep`, if any, runs once the waiter is queued and the lock dropped:
// the place to unlock something else.  Neither may park; validate may not use the lot.
//
// Switches fibers when called on one, blocks the kernel thread otherwise.  errno survives.
[[nodiscard]] ParkResult park(const void* address, const ParkOptions& options,
                              FunctionRef<bool()> validate,
                              FunctionRef<void()> before_sleep = nullptr);

// Wakes up to `count` waiters of `address` that share a bit with `bits`, first come, first served.
// Returns how many.  Never switches; any thread.
unsigned unpark(const void* address, unsigned count, uint32_t bits = kAllBits);

struct UnparkOne {
  bool found = false;          // there is somebody, whom this call wakes
  bool has_more = false;       // and others stay behind
  bool wants_handoff = false;  // the ParkOptions of the one who is woken
};

// Wakes one waiter of `address`, if any, and fires the watches in front of it, which count as no
// waiters.  `decide` runs in either case, under the bucket's lock, so it can change the word that
// validate() reads in step with the queue; it returns the waiter's token.
bool unpark_one(const void* address, FunctionRef<uint32_t(UnparkOne)> decide);

struct RequeueResult {
  bool valid = false;
  unsigned woken = 0;
  unsigned requeued = 0;
};

// If validate() agrees, wakes up to `wake` waiters of `from` and makes up to `requeue` of the
// others wait on `to`.  Both buckets are locked throughout.  Never switches; any thread.
RequeueResult requeue(const void* from, const void* to, unsigned wake, unsigned requeue,
                      FunctionRef<bool()> validate);

struct PairResult {
  unsigned first = 0;
  unsigned second = 0;
};

// With both buckets locked, runs `operation`; then wakes up to `first_count` waiters of `first`,
// and, if the operation returned true, up to `second_count` of `second`.  Returns how many woke of
// each.
PairResult unpark_two(const void* first, unsigned first_count, const void* second,
                      unsigned second_count, FunctionRef<bool()> operation);

// Waiting for several addresses at once.  A watch is a waiter of one address which wakes no fiber,
// but puts itself on the list of its set; whoever owns the set waits for that list.  Meant for
// wakers that wake everybody (an event, the end of a fiber) or use unpark_one(): with unpark(), a
// watch would take the wake-up of a waiter.
struct Watch;

struct WatchSet {
  base::Lock lock;                                // taken with a bucket's lock held
  Watch* fired RAMIE_GUARDED_BY(lock) = nullptr;  // the newest first
  core::Ticket ticket RAMIE_GUARDED_BY(lock);     // of a fiber that waits for the set
  std::atomic<uint32_t> word = 0;                 // where a kernel thread does: 1 means fired
};

// In memory of the owner, from watch() until unwatch() has returned.
struct alignas(8) WatchPlace {
  unsigned char bytes[96];
};

struct Watch {
  Watch* next_fired = nullptr;
  WatchPlace place;
};

// Queues the watch on `address`; false if validate(), as in park(), says that there is nothing to
// wait for: then it is not queued.
[[nodiscard]] bool watch(Watch& watch, WatchSet& set, const void* address,
                         FunctionRef<bool()> validate);
// Takes it back.  Afterwards nobody touches it, and it fires no more.  Whether it has not fired.
bool unwatch(Watch& watch);
// Takes all watches of the set that have fired, the newest first; waits for one if there is none.
// Null when the deadline passed, or by core::cancel().
[[nodiscard]] Watch* wait_fired(WatchSet& set, base::Deadline deadline);
// Only on a fiber: the same, but a signal that is to be handled ends the wait as well.  How it has
// ended; `woken` if some have fired, whatever came besides.
[[nodiscard]] Outcome wait_fired_once(WatchSet& set, base::Deadline deadline);

// After fork, in the child: nobody waits any more.
void reset_after_fork();

}  // namespace ramie::sync

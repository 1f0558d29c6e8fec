// The carriers as a crew: which of them run, sleep or stand by, and how help is called.
//
// At most `limit` carriers take part at a time: as many as were asked for (RAMIE_CARRIERS), and one
// more for each that is stuck, or two where many are (watchdog.cc).  One that takes part runs
// fibers, searches for some, or is idle: asleep until there are any.  The others stand by, and
// after two seconds a kernel thread of Ramie's own ends.
//
// Nothing is lost between a carrier that goes to sleep and a thread that has just made a fiber
// ready:
//
//   the carrier                                   the other one
//   1. says that it sleeps (sleeping, idle)       1. puts the fiber into a queue
//   2. gives up its search, if it was searching   2. looks whether somebody searches or is idle,
//   3. looks at all queues once more, and         and wakes one who is idle
//      whether somebody watches for events
//
// Where the other one is no carrier, all of this is sequentially consistent: one of the two sees
// the other.  A carrier that puts a fiber into its own queue spares itself the fence; if it misses
// the sleeper, it still runs the fiber itself, and if it can't, the watchdog calls help.
//
// Somebody who was called searches; meanwhile nobody else is called, and when the searcher has
// found something it calls the next if there is more.  A single fiber that was made ready is mostly
// run by the very carrier that did it, a moment later, and waking another would be in vain: so that
// is done only while it pays (`eagerness`).  Where a loop made it ready, it is always so.  Somebody
// whom the watchdog called on suspicion may find nothing: no offer was in vain then.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/carrier.h"
#include "core/shared_queue.h"

namespace ramie::core {

struct Crew {
  std::atomic<uint32_t> limit = 1;
  std::atomic<uint32_t> most = 1;    // that the limit may be: RAMIE_MAX_BLOCKED beyond the first
  std::atomic<uint32_t> active = 0;  // take part
  std::atomic<uint32_t> idle = 0;    // of these, sleep
  std::atomic<uint32_t> searching = 0;
  std::atomic<bool> many_are_stuck = false;       // as the watchdog saw it last
  std::atomic<bool> is_search_for_offer = false;  // who made `searching` 1 writes it
  std::atomic<uint32_t> eagerness = kEagerAtFirst;
  SharedQueue shared;
  SharedQueue express;                    // see turns.h
  static constexpr uint32_t kBatch = 64;  // of these, taken at a time

  [[nodiscard]] bool has_shared() const { return !shared.empty() || !express.empty(); }

  static constexpr uint32_t kEagerAtFirst = 8;
  static constexpr uint32_t kMostEager = 16;
};

extern Crew crew;

// `carriers` of them may take part from here on, and the watchdog looks after them.  Further ones
// are bare kernel threads, started on demand.
void start_crew(unsigned carriers);

// Somebody who sleeps or stands by comes and looks at all queues, unless somebody searches already
// or nobody may.  Any thread.
void call_help();

// As call_help(), on suspicion: whether anything is found says nothing about offers.
void call_help_on_suspicion();

// One more may take part, for a carrier that is stuck; false if too many are.  Later,
// lower_limit().
[[nodiscard]] bool raise_limit();
void lower_limit();

// One has found that it must not run: no others are tried.
void start_no_more_carriers();

// Whether some carrier could be called that doesn't run.
[[nodiscard]] inline bool is_anybody_free() {
  return crew.idle.load(std::memory_order_relaxed) > 0 ||
         crew.active.load(std::memory_order_relaxed) < crew.limit.load(std::memory_order_relaxed);
}

// How many the calling carrier might run next that others might, too.
[[nodiscard]] inline uint32_t count_offered(const Carrier& carrier) {
  return carrier.ready.size() + crew.express.size();
}

// The calling carrier has put a fiber into one of the queues that it takes from.
inline void offer_work(const Carrier& carrier) {
  if (!is_anybody_free()) {
    return;
  }
  if (crew.searching.load(std::memory_order_relaxed) != 0 ||
      (count_offered(carrier) < 2 && crew.eagerness.load(std::memory_order_relaxed) == 0)) {
    return;
  }
  call_help();
}

// Fills the calling carrier's empty StealQueue from the shared one or another carrier's, unless
// there are express fibers.  False if there was nothing.
bool find_work(Carrier& carrier);

// Puts a fiber without a home that has waited into the calling carrier's StealQueue, or where there
// is room, or where it comes first (turns.h).
void enqueue(Carrier& carrier, Fiber& fiber);

// The same behind all others, for one that has not waited.
void enqueue_last(Carrier& carrier, Fiber& fiber);

// A few fibers of the shared queue have their turn too.
void take_shared(Carrier& carrier);

// Whether there is anything to be found.
[[nodiscard]] bool is_work_somewhere();

// The calling carrier's search has ended, with or without success.
void end_search(Carrier& carrier, bool success);

// More carriers take part than may.
[[nodiscard]] bool is_one_too_many();

// A carrier with fibers that run nowhere else goes on taking part.
[[nodiscard]] inline bool may_stand_by(const Carrier& carrier) {
  return carrier.is_bare && !carrier.is_home.load(std::memory_order_relaxed);
}

// Before a hosted fiber's home becomes a bare carrier of the crew: that one neither stands by from
// now on nor ends.  Any thread.
void make_home(Carrier& carrier);

// Those that are too many and sleep don't see it by themselves.  The watchdog calls.
void send_surplus_away();

// The program has a filter of system calls (man 2 seccomp), which may refuse, or punish, one that
// it does not make itself.
[[nodiscard]] bool is_filtered();

// Of the calling kernel thread: what it has started (PR_SET_PDEATHSIG), or traces.
[[nodiscard]] bool has_children();

// The calling carrier, which has no pinned fibers, stands by until it is called.  False if it was
// not, for so long that its kernel thread ends.
[[nodiscard]] bool stand_by(Carrier& carrier);

// Carrier::sleeping, the word on which it sleeps:
//
// | word        | the carrier                                       | how to wake it |
// |-------------|---------------------------------------------------|----------------|
// | kAwake      | runs, and will look at its inbox before it sleeps | -              |
// | kSummoned   | the same, and it was woken in order to search     | -              |
// | kInFutex    | sleeps on the word, or is about to                | futex          |
// | kInPoller   | sleeps in the poller, or is about to              | poller->wake() |
// | kApart      | the same, and isn't in the crew (apart.h)         | futex          |
// | kStandingBy | sleeps on the word, and takes no part             | futex          |
// | kEnded      | stood by, and its kernel thread ends              | -              |
//
// A waker changes the four in between into one of the first two by compare-exchange, and only who
// succeeds makes the call.
enum Sleep : uint32_t { kAwake, kSummoned, kInFutex, kInPoller, kApart, kStandingBy, kEnded };

// Wakes a carrier that sleeps; for what is in its inbox, or a signal.  Async-signal-safe.
void wake(Carrier& carrier);

// Starts a bare kernel thread that is a carrier, and searches.  False when there can be none.
bool start_carrier();

}  // namespace ramie::core

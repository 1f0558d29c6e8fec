#include "core/workers.h"

#include <algorithm>
#include <utility>

#include "base/deadline.h"
#include "core/crew.h"
#include "core/loop.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "core/stack.h"

namespace ramie::core {
namespace {

// A worker looks for one with fewer fibers once for so many that it takes in; and not with less
// than that many of its own.
constexpr uint32_t kLookEvery = 8;
constexpr uint32_t kFew = 32;

constexpr int64_t kOfLate = 1'000'000;  // ns
constexpr uint32_t kTurnsBetweenSteals = 64;

constinit std::atomic<uint32_t> on_guard = 0;

bool is_asleep(const Carrier& worker) {
  uint32_t how = worker.sleeping.load(std::memory_order_relaxed);
  return how == kInFutex || how == kInPoller;
}

Carrier* find_less_loaded(const Carrier& self) {
  uint32_t mine = self.light_fibers.load(std::memory_order_relaxed);
  Carrier* best = nullptr;
  uint32_t fewest = mine - mine / 4;
  for (Carrier* other = carriers_of_crew(); other != nullptr; other = other->next_in_crew) {
    uint32_t count = other->light_fibers.load(std::memory_order_relaxed);
    // Acquire pairs with serve_as_worker(): its TCB is going to be used.
    if (count < fewest && other->is_worker.load(std::memory_order_acquire)) {
      fewest = count;
      best = other;
    }
  }
  return best;
}

// The worker to which fibers go sleeps, or has switched of late.
bool is_responsive(Carrier& self) {
  uint64_t switches = self.passes_to->switches.load(std::memory_order_relaxed);
  if (std::exchange(self.passes_seen, switches) != switches || is_asleep(*self.passes_to)) {
    self.passes_since = self.now;
  }
  return self.now - self.passes_since < kOfLate;
}

// Fibers that stay for long, such as those of connections, would else all be where they were
// spawned, if they come one by one.  But nobody is sent to wait behind one that computes.
Carrier& choose_home(Carrier& self) {
  if (self.light_fibers.load(std::memory_order_relaxed) < kFew) {
    self.passes_to = nullptr;
    return self;
  }
  if (++self.taken_in % kLookEvery == 0) {
    Carrier* found = find_less_loaded(self);
    if (found != nullptr && found != self.passes_to) {
      self.passes_seen = found->switches.load(std::memory_order_relaxed);
      self.passes_since = self.now - kOfLate;
    }
    self.passes_to = found;
  }
  return self.passes_to != nullptr && is_responsive(self) ? *self.passes_to : self;
}

// As offer_work(), where no watchdog corrects what it misses.
void offer(Carrier& carrier) {
  // A locked instruction between the queue and what is read next: see crew.h.
  carrier.offers.fetch_add(1, std::memory_order_seq_cst);
  if (crew.idle.load(std::memory_order_seq_cst) == 0 ||
      crew.searching.load(std::memory_order_seq_cst) != 0) {
    return;
  }
  if (carrier.ready.size() < 2 && crew.eagerness.load(std::memory_order_relaxed) == 0 &&
      on_guard.load(std::memory_order_seq_cst) != 0) {
    return;  // it hasn't paid lately, and somebody will look
  }
  call_help();
}

}  // namespace

void serve_as_worker() {
  Carrier& carrier = *current()->carrier;
  // Who waits for the rest may have asked all that there were before.
  carrier.rest_awaited.fetch_or(Carrier::kRestOfWorkers, std::memory_order_seq_cst);
  carrier.is_worker.store(true, std::memory_order_release);  // pairs with find_less_loaded()
  for (;;) {
    RuntimeSection section(*current());
    (void)prepare_park();
    (void)park({WaitKind::none, 0});
  }
}

void start_anywhere(Fiber& fiber, Fiber::Entry entry) {
  Carrier& carrier = *current()->carrier;
  fiber.carrier = &carrier;
  fiber.home.store(nullptr, std::memory_order_relaxed);
  fiber.fs_base = 0;
  fiber.shares_tcb = false;
  prepare_light_fiber(fiber, carrier, entry);
  if (carrier.is_worker.load(std::memory_order_relaxed)) {
    enqueue(carrier, fiber);
    offer(carrier);
  } else {
    crew.shared.push(&fiber);
    if (crew.idle.load(std::memory_order_seq_cst) != 0) {
      call_help();
    }
  }
}

void offer_rest() {
  if (crew.idle.load(std::memory_order_seq_cst) != 0 && is_work_somewhere()) {
    call_help();
  }
}

void steal_now_and_then(Carrier& carrier) {
  if (++carrier.worker_turns % kTurnsBetweenSteals == 0 && carrier.ready.empty()) {
    (void)find_work(carrier);
  }
}

Guard::Guard(const Carrier& carrier, base::Deadline& until)
    : stands_(carrier.is_worker.load(std::memory_order_relaxed) &&
              crew.idle.load(std::memory_order_seq_cst) <
                  workers_started.load(std::memory_order_relaxed)) {
  if (stands_) {
    on_guard.fetch_add(1, std::memory_order_seq_cst);
    until = std::min(until, base::Deadline::after(base::now(), kInterval));
  }
}

Guard::~Guard() {
  if (stands_) {
    on_guard.fetch_sub(1, std::memory_order_seq_cst);
  }
}

Fiber* take_in(Carrier& carrier, Fiber& fiber) {
  for (Fiber* next = &fiber; next != nullptr; next = carrier.ready.pop()) {
    Carrier& home = choose_home(carrier);
    live_on(*next, home);
    if (&home == &carrier) {
      return next;
    }
    home.inbox.push(next);
    wake(home);
  }
  return nullptr;
}

// Who has ended is counted first, and who was born last: so what comes out is at least as many as
// there were when those who stand aside were counted.
uint64_t count_rest_of_workers() {
  uint64_t ended = 0;
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    ended += carrier->ended.load(std::memory_order_seq_cst);
  }
  uint64_t aside = workers_aside.load(std::memory_order_seq_cst);
  uint64_t born = 0;
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    born += carrier->born.load(std::memory_order_seq_cst);
  }
  return born - ended - aside;
}

void reset_workers_after_fork(Fiber& only) {
  Carrier& carrier = *only.carrier;
  workers_serve.store(false, std::memory_order_relaxed);
  workers_started.store(0, std::memory_order_relaxed);
  workers_aside.store(0, std::memory_order_relaxed);
  on_guard.store(0, std::memory_order_relaxed);
  carrier.is_worker.store(false, std::memory_order_relaxed);
  carrier.born.store(0, std::memory_order_relaxed);
  carrier.ended.store(0, std::memory_order_relaxed);
  carrier.passes_to = nullptr;
  only.of_workers = false;
}

}  // namespace ramie::core

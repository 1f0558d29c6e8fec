#include "core/crew.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include <algorithm>
#include <limits>

#include "base/config.h"
#include "base/futex.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/internal_signal.h"
#include "core/kernel_mask.h"
#include "core/loop.h"
#include "core/scheduler.h"
#include "core/tls_choice.h"
#include "core/watchdog.h"
#include "core/workers.h"

namespace ramie::core {

constinit Crew crew;

namespace {

constinit std::atomic<int64_t> no_start_before = 0;

constexpr int64_t kSpareTime = 2 * base::kNanosPerSecond;  // that a carrier stands by

bool wake_from(Carrier& carrier, uint32_t how, uint32_t to) {
  if (!carrier.sleeping.compare_exchange_strong(how, to, std::memory_order_seq_cst)) {
    return false;
  }
  if (how == kInPoller) {
    wake_poller();
  } else {
    base::futex_wake(carrier.sleeping, 1);
  }
  return true;
}

// One that sleeps on its word is woken in preference to the one that watches for events.  `self` is
// not: a carrier counts as asleep until it has handled the events for which it slept, and runs what
// they made ready itself.
bool summon(uint32_t how, const Carrier* self) {
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    if (carrier != self && carrier->sleeping.load(std::memory_order_relaxed) == how &&
        takes_any(*carrier) && wake_from(*carrier, how, kSummoned)) {
      return true;
    }
  }
  return false;
}

// One that may be summoned, and takes part.
bool is_another_asleep(const Carrier* self) {
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    uint32_t how = carrier->sleeping.load(std::memory_order_seq_cst);
    if (carrier != self && (how == kInFutex || how == kInPoller) && takes_any(*carrier)) {
      return true;
    }
  }
  return false;
}

bool summon_reserve() {
  uint32_t active = crew.active.load(std::memory_order_relaxed);
  do {
    if (active >= crew.limit.load(std::memory_order_relaxed)) {
      return false;
    }
  } while (!crew.active.compare_exchange_weak(active, active + 1, std::memory_order_relaxed));
  if (summon(kStandingBy, nullptr)) {
    return true;
  }
  // Where no thread can be had, that is not tried again at every wake-up.
  int64_t now = base::now();
  if (now >= no_start_before.load(std::memory_order_relaxed)) {
    if (start_carrier()) {
      return true;
    }
    no_start_before.store(now + base::kNanosPerSecond, std::memory_order_relaxed);
  }
  crew.active.fetch_sub(1, std::memory_order_relaxed);
  return false;
}

}  // namespace

bool is_filtered() { return sys::call(SYS_prctl, PR_GET_SECCOMP) != 0; }

bool has_children() {
  siginfo_t info{};
  // Those of other threads aside, without taking anything, and whatever their state.
  constexpr int kOptions =
      WEXITED | WSTOPPED | WCONTINUED | WNOHANG | WNOWAIT | __WNOTHREAD | __WALL;
  return sys::call(SYS_waitid, P_ALL, 0, sys::arg(&info), kOptions, 0) == 0;
}

namespace {

// Whether nothing ends with the kernel thread that somebody may need, and the watchdog has nothing
// to take back.  (Ramie's own requests to a ring are made again.  Timers that fibers have left here
// are the watchdog's then.)
bool is_dispensable(Carrier& carrier) {
  return carrier.is_bare && carrier.ready.empty() && crew.express.empty() &&
         (carrier.timers.next().is_never() || is_watchdog_there()) &&
         carrier.blocking.load(std::memory_order_relaxed) == 0 &&
         carrier.watched.places.load(std::memory_order_relaxed) == 0 && carrier.ring == nullptr &&
         !carrier.has_submitted && !is_filtered() && !has_children();
}

// If it stands by, it takes part again, be it one too many.
void call_back(Carrier& carrier) {
  crew.active.fetch_add(1, std::memory_order_relaxed);
  if (!wake_from(carrier, kStandingBy, kAwake)) {
    crew.active.fetch_sub(1, std::memory_order_relaxed);
  }
}

void change_eagerness(int change) {
  auto value = static_cast<int>(crew.eagerness.load(std::memory_order_relaxed)) + change;
  crew.eagerness.store(
      static_cast<uint32_t>(std::clamp(value, 0, static_cast<int>(Crew::kMostEager))),
      std::memory_order_relaxed);
}

}  // namespace

void start_crew(unsigned carriers) {
  crew.limit.store(carriers, std::memory_order_relaxed);
  crew.most.store(carriers + base::config().max_blocked, std::memory_order_relaxed);
  (void)start_watchdog();
}

bool raise_limit() {
  uint32_t limit = crew.limit.load(std::memory_order_relaxed);
  while (limit < crew.most.load(std::memory_order_relaxed)) {
    if (crew.limit.compare_exchange_weak(limit, limit + 1, std::memory_order_relaxed)) {
      return true;
    }
  }
  static constinit std::atomic<bool> said = false;
  base::log_once(said, base::LogLevel::warn, "all of RAMIE_MAX_BLOCKED kernel threads are stuck");
  return false;
}

void lower_limit() { crew.limit.fetch_sub(1, std::memory_order_relaxed); }

void start_no_more_carriers() {
  no_start_before.store(std::numeric_limits<int64_t>::max(), std::memory_order_relaxed);
}

namespace {

void call(bool is_for_offer) {
  const Fiber* fiber = current();
  const Carrier* self = fiber != nullptr ? fiber->carrier : nullptr;
  do {
    uint32_t nobody = 0;
    if (crew.searching.load(std::memory_order_seq_cst) != 0 ||
        !crew.searching.compare_exchange_strong(nobody, 1, std::memory_order_seq_cst)) {
      return;  // who searches looks once more after it has given up
    }
    crew.is_search_for_offer.store(is_for_offer, std::memory_order_relaxed);
    if (crew.idle.load(std::memory_order_seq_cst) > 0 &&
        (summon(kInFutex, self) || summon(kInPoller, self))) {
      return;
    }
    if (summon_reserve()) {
      return;
    }
    crew.searching.fetch_sub(1, std::memory_order_seq_cst);
    // Meanwhile somebody may have fallen asleep, and then another one may have relied on us.
  } while (crew.idle.load(std::memory_order_seq_cst) > 0 && is_work_somewhere() &&
           is_another_asleep(self));
}

}  // namespace

void call_help() { call(true); }

void call_help_on_suspicion() { call(false); }

void enqueue(Carrier& carrier, Fiber& fiber) {
  bool are_turns_long =
      carrier.turns.measures() || crew.many_are_stuck.load(std::memory_order_relaxed);
  if (are_turns_long && goes_first(fiber) &&
      carrier.role.load(std::memory_order_relaxed) == Role::crew) [[unlikely]] {
    crew.express.push(&fiber);
  } else {
    enqueue_last(carrier, fiber);
  }
}

void enqueue_last(Carrier& carrier, Fiber& fiber) {
  if (!carrier.ready.push(&fiber)) [[unlikely]] {
    crew.shared.push(&fiber);
    if (carrier.role.load(std::memory_order_relaxed) != Role::crew) {
      call_help();  // here nobody else has its turn
    }
  }
}

void take_shared(Carrier& carrier) {
  if (!crew.shared.empty() && takes_any(carrier)) {
    crew.shared.give_to(carrier.ready, Crew::kBatch);
  }
}

bool find_work(Carrier& carrier) {
  if (!takes_any(carrier)) {
    return false;
  }
  take_shared(carrier);
  if (!carrier.ready.empty() || !crew.express.empty()) {
    return true;
  }
  for (Carrier* other = carriers_of_crew(); other != nullptr; other = other->next_in_crew) {
    if (other != &carrier && other->ready.give_half_to(carrier.ready) > 0) {
      return true;
    }
  }
  return false;
}

bool is_work_somewhere() {
  if (crew.has_shared()) {
    return true;
  }
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    if (!carrier->ready.empty()) {
      return true;
    }
  }
  return false;
}

void end_search(Carrier& carrier, bool success) {
  if (!carrier.searching) {
    return;
  }
  carrier.searching = false;
  if (crew.is_search_for_offer.load(std::memory_order_relaxed)) {
    change_eagerness(success ? 1 : -2);
  }
  crew.searching.fetch_sub(1, std::memory_order_seq_cst);
  if (success && (!carrier.ready.empty() || crew.has_shared())) {
    call_help();
  }
}

bool is_one_too_many() {
  return crew.active.load(std::memory_order_relaxed) > crew.limit.load(std::memory_order_relaxed);
}

void send_surplus_away() {
  uint32_t active = crew.active.load(std::memory_order_relaxed);
  uint32_t limit = crew.limit.load(std::memory_order_relaxed);
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr && active > limit;
       carrier = carrier->next_in_crew) {
    if (may_stand_by(*carrier) && carrier->sleeping.load(std::memory_order_relaxed) == kInFutex &&
        wake_from(*carrier, kInFutex, kAwake)) {
      --active;
    }
  }
}

void make_home(Carrier& carrier) {
  carrier.is_home.store(true, std::memory_order_seq_cst);  // before call_back() looks, as below
  call_back(carrier);
}

bool stand_by(Carrier& carrier) {
  end_search(carrier, false);
  uint32_t active = crew.active.load(std::memory_order_relaxed);
  do {
    if (active <= crew.limit.load(std::memory_order_relaxed)) {
      return true;
    }
  } while (!crew.active.compare_exchange_weak(active, active - 1, std::memory_order_relaxed));
  carrier.turns = {};
  tls::go_back_to_traps(carrier.cpu);
  // It takes no signal: one that came here would have to go elsewhere.
  uint64_t mask = fault::blockable(~uint64_t{0}) & ~signal_bit(kInternalSignal);
  (void)block_in_kernel(carrier, mask);
  carrier.sleeping.store(kStandingBy, std::memory_order_seq_cst);
  carrier_fell_asleep(Part::of_crew);  // after that: who counts the last one out sees it at rest
  if (carrier.is_home.load(std::memory_order_seq_cst)) {
    call_back(carrier);  // it has become one meanwhile
  }
  int64_t patience = kSpareTime;
  base::Deadline end = base::Deadline::after(carrier.now, patience);
  for (;;) {
    // What others may have to run, they are told of.
    crew.shared.push_all(carrier.ready);
    if (crew.has_shared()) {
      call_help();
    } else if (are_events_missed()) {
      call_help_on_suspicion();
    }
    report_standstill();
    base::futex_wait(carrier.sleeping, kStandingBy, std::min(carrier.timers.next(), end));
    tls::refresh(carrier.cpu);
    if (carrier.sleeping.load(std::memory_order_acquire) != kStandingBy) {
      break;
    }
    carrier.now = base::now();
    fire_timers(carrier.timers, carrier.now);
    if (end.passed(carrier.now)) {
      uint32_t stands_by = kStandingBy;
      if (is_dispensable(carrier) &&
          carrier.sleeping.compare_exchange_strong(stands_by, kEnded, std::memory_order_seq_cst)) {
        return false;
      }
      patience *= 2;  // what ties it may do so for long
      end = base::Deadline::after(carrier.now, patience);
    }
  }
  carrier.searching = carrier.sleeping.exchange(kAwake, std::memory_order_acq_rel) == kSummoned;
  carrier_woke_up(Part::of_crew);
  return true;
}

void reset_crew_after_fork() {
  crew.limit.store(1, std::memory_order_relaxed);
  crew.active.store(1, std::memory_order_relaxed);
  crew.idle.store(0, std::memory_order_relaxed);
  crew.searching.store(0, std::memory_order_relaxed);
  crew.eagerness.store(Crew::kEagerAtFirst, std::memory_order_relaxed);
  crew.shared.reset();
  crew.express.reset();
  crew.many_are_stuck.store(false, std::memory_order_relaxed);
  no_start_before.store(0, std::memory_order_relaxed);
}

void wake(Carrier& carrier) {
  uint32_t how = carrier.sleeping.load(std::memory_order_seq_cst);
  if (how == kInFutex || how == kInPoller || how == kApart) {
    (void)wake_from(carrier, how, kAwake);
  }
}

}  // namespace ramie::core

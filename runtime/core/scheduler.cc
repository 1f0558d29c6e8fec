#include "core/scheduler.h"

#include <algorithm>
#include <new>

#include "base/check.h"
#include "base/futex.h"
#include "base/one_thread.h"
#include "base/sys.h"
#include "core/apart.h"
#include "core/bare_carrier.h"
#include "core/cpu_clock.h"
#include "core/crew.h"
#include "core/loop.h"
#include "core/observer.h"
#include "core/spread.h"
#include "core/switch.h"
#include "core/tls_choice.h"
#include "core/trimming.h"
#include "core/watchdog.h"
#include "core/workers.h"

namespace ramie::core {

namespace {

constexpr int64_t kPollInterval = 50'000;  // ns between two looks at the poller while fibers run

constinit std::atomic<const Poller*> poller = nullptr;
constinit std::atomic<bool> polling = false;  // one carrier at a time is in the poller
constinit std::atomic<uint32_t> outside_work = 0;
// How many of the crew and how many bare ones apart are awake, and how often one has woken up.
constinit std::atomic<uint64_t> awake_carriers = 0;
constexpr uint64_t kOneOfCrew = 1;
constexpr uint64_t kOneApart = uint64_t{1} << 24;
constexpr uint64_t kOneWakesUp = uint64_t{1} << 44;
constexpr uint64_t one_of(Part part) { return part == Part::of_crew ? kOneOfCrew : kOneApart; }
constinit DeadlockHook deadlock_hook = nullptr;

// Sleepers in the background don't count.
bool is_at_rest(Carrier& carrier) {
  if (carrier.timers.size() > carrier.background_timers.load(std::memory_order_relaxed)) {
    return false;
  }
  if (carrier.gone.load(std::memory_order_relaxed)) {
    return true;
  }
  uint32_t how = carrier.sleeping.load(std::memory_order_seq_cst);
  return how != kAwake && how != kSummoned && carrier.inbox.empty() && carrier.ready.empty();
}

// Each carrier looks after it has said that it sleeps, so the last one to say so sees all at rest.
bool is_standstill(const Poller* events) {
  uint64_t before = awake_carriers.load(std::memory_order_seq_cst);
  if (before % kOneWakesUp != 0 || outside_work.load(std::memory_order_relaxed) != 0 ||
      crew.searching.load(std::memory_order_seq_cst) != 0 || crew.has_shared() ||
      (events != nullptr && events->has_waiters())) {
    return false;
  }
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (!is_at_rest(*carrier)) {
      return false;
    }
  }
  return awake_carriers.load(std::memory_order_seq_cst) == before;  // so all that was at one time
}

// Where the watchdog sees to the next one, this is not done for each event.
void end_polling(const Carrier& self) {
  // Sequentially consistent: who goes to sleep now sees this, or is seen by hand_over_polling().
  polling.store(false, std::memory_order_seq_cst);
  if (!is_watchdog_there()) {
    hand_over_polling(self);
  }
}

// A carrier that was woken on its futex has found a fiber.  If it was woken to watch for events,
// the next one does that; nobody else knows that it doesn't.
void pass_on_polling(const Carrier& self) {
  if (!is_watchdog_there() && !is_event_watched()) {
    hand_over_polling(self);
  }
}

// Until there may be something to run.  The order of the steps: crew.h.  Whether it was in the
// poller.
bool sleep(Carrier& carrier) {
  const Poller* events = poller.load(std::memory_order_acquire);
  bool polls = events != nullptr && !polling.exchange(true, std::memory_order_acquire);
  bool is_of_help = takes_any(carrier);
  carrier.sleeping.store(polls ? kInPoller : kInFutex, std::memory_order_seq_cst);
  if (is_of_help) {
    crew.idle.fetch_add(1, std::memory_order_seq_cst);
  }
  carrier_fell_asleep(Part::of_crew);
  end_search(carrier, false);
  OpenToSignals open(carrier, polls && carrier.ring == nullptr);
  base::Deadline until{};
  Guard guard(carrier, until);
  if (carrier.inbox.empty() && carrier.pinned.empty() && !(is_of_help && is_work_somewhere()) &&
      carrier.role.load(std::memory_order_seq_cst) == Role::crew && (polls || is_event_watched()) &&
      !carrier.loop.signal_pending.load(std::memory_order_relaxed)) {
    until = std::min(until, carrier.timers.next());
    report_standstill();
    if (polls || events == nullptr) {
      until = std::min(until, trim_stacks(carrier.now));
    }
    if (carrier.ring != nullptr) {
      carrier.ring->wait(*carrier.ring, carrier, until, polls ? events : nullptr);
    } else if (polls) {
      open.note_call(events->wait(until, carrier.cpu, open.mask_of_call()));
    } else {
      base::futex_wait(carrier.sleeping, kInFutex, until);
      tls::refresh(carrier.cpu);
    }
  }
  open.end();
  carrier_woke_up(Part::of_crew);
  if (is_of_help) {
    crew.idle.fetch_sub(1, std::memory_order_seq_cst);
  }
  carrier.searching = carrier.sleeping.exchange(kAwake, std::memory_order_acq_rel) == kSummoned;
  if (polls) {
    end_polling(carrier);
  }
  return polls;
}

void look_at_events(Carrier& carrier) {
  const Poller* events = poller.load(std::memory_order_acquire);
  if (events != nullptr && carrier.now - carrier.last_poll >= kPollInterval) {
    carrier.last_poll = carrier.now;
    if (carrier.ring == nullptr || carrier.ring->look(*carrier.ring, carrier)) {
      look_for_events(carrier);
    }
  }
}

// Before the fiber that it has put off, which is returned if nobody does.  Where another carrier is
// in the poller, the kernel may have woken that one already, but has not given it a processor.
Fiber* let_others_go_first(Carrier& carrier) {
  end_search(carrier, true);
  if (polling.load(std::memory_order_relaxed) &&
      poller.load(std::memory_order_acquire)->has_events()) {
    (void)sys::call(SYS_sched_yield);
    carrier.now = base::now();
    carrier.inbox.drain_into(carrier.pinned);
    fire_timers(carrier.timers, carrier.now);
  }
  carrier.last_poll = carrier.now - kPollInterval;
  look_at_events(carrier);
  take_shared(carrier);
  return after_others(carrier);
}

}  // namespace

void look_at_ring(Carrier& carrier) {
  if (carrier.ring != nullptr) {
    (void)carrier.ring->look(*carrier.ring, carrier);
  }
}

void report_standstill() {
  if (deadlock_hook != nullptr && is_standstill(poller.load(std::memory_order_acquire)))
      [[unlikely]] {
    deadlock_hook();
  }
}

void look_for_events(Carrier& carrier) {
  const Poller* events = poller.load(std::memory_order_acquire);
  if (events != nullptr && !polling.exchange(true, std::memory_order_acquire)) {
    carrier.last_poll = carrier.now;
    (void)events->wait(base::Deadline::at(0), carrier.cpu, nullptr);
    end_polling(carrier);
  }
}

void run_loop(Fiber& loop) {
  bool may_be_called_to_poll = false;
  bool has_just_polled = false;
  for (;;) {
    Carrier& carrier = *loop.carrier;
    bool has_found = false;
    bool has_slept = false;
    Fiber* next = nullptr;
    carrier.now = base::now();
    end_turns(carrier);
    carrier.begin_turn();
    tls::reconsider_now_and_then(carrier.cpu, carrier.now);
    carrier.inbox.drain_into(carrier.pinned);
    if (has_just_polled) {
      has_just_polled = false;
      carrier.last_poll = carrier.now;
    }
    fire_timers(carrier.timers, carrier.now);
    if (carrier.now >= carrier.spread.next_look && is_watchdog_there() &&
        carrier.role.load(std::memory_order_relaxed) == Role::crew) {
      look_at_neighbours(carrier);
    }
    if (loop.signal_pending.exchange(false, std::memory_order_relaxed)) [[unlikely]] {
      signal_hooks().hand_out(carrier);
    }
    if (carrier.role.load(std::memory_order_relaxed) != Role::crew) [[unlikely]] {
      give_back_put_off(carrier);
      if (!take_turn_apart(carrier)) {
        return;
      }
    } else if (may_stand_by(carrier) && is_one_too_many()) [[unlikely]] {
      give_back_put_off(carrier);
      if (!stand_by(carrier)) {
        return;
      }
      has_slept = true;
    } else if (carrier.turns.put_off != nullptr) [[unlikely]] {
      next = let_others_go_first(carrier);
    } else if (carrier.has_ready()) {
      look_at_events(carrier);
      take_shared(carrier);
      if (have_workers()) [[unlikely]] {
        steal_now_and_then(carrier);
      }
    } else if (find_work(carrier)) {
      has_found = true;
      look_at_ring(carrier);
    } else if (!serve_idler(carrier)) {
      has_just_polled = sleep(carrier);
      has_slept = true;
      may_be_called_to_poll = !has_just_polled;
    }
    if (has_slept) {
      begin_anew(carrier, base::now());
    }
    if (next == nullptr) [[likely]] {
      next = take_next(carrier);
    }
    if (next != nullptr) {
      has_just_polled = false;
      has_found |= carrier.searching;
      end_search(carrier, true);
      if (has_found && have_workers()) [[unlikely]] {
        offer_rest();
      }
      // For that one alone nobody was called: it was to be the next one.
      if (!crew.express.empty() ||
          (!carrier.ready.empty() && next->home.load(std::memory_order_relaxed) != nullptr)) {
        offer_work(carrier);
      }
      if (may_be_called_to_poll) {
        may_be_called_to_poll = false;
        pass_on_polling(carrier);
      }
      begin_turns(carrier);
      (void)switch_to(carrier, loop, *next, nullptr);
    }
  }
}

void set_poller(const Poller* wanted) {
  poller.store(wanted, std::memory_order_release);  // pairs with sleep(), look_at_events()
}

void wake_poller() { poller.load(std::memory_order_acquire)->wake(); }

bool is_event_watched() {
  return poller.load(std::memory_order_acquire) == nullptr ||
         polling.load(std::memory_order_seq_cst);
}

// The end of a helper's call is an event, too.
bool are_events_missed() {
  return !is_event_watched() && (outside_work.load(std::memory_order_relaxed) != 0 ||
                                 poller.load(std::memory_order_acquire)->has_waiters());
}

void hand_over_polling(const Carrier& self) {
  Carrier* chosen = nullptr;
  for (Carrier* other = carriers_of_crew(); other != nullptr; other = other->next_in_crew) {
    if (other != &self && other->sleeping.load(std::memory_order_seq_cst) == kInFutex) {
      chosen = other;
      if (takes_any(*other)) {
        break;
      }
    }
  }
  if (chosen != nullptr) {
    wake(*chosen);  // by somebody else, if not by us: see pass_on_polling()
  }
}

void carrier_fell_asleep(Part part) {
  awake_carriers.fetch_sub(one_of(part), std::memory_order_seq_cst);
}

void carrier_woke_up(Part part) {
  awake_carriers.fetch_add(kOneWakesUp + one_of(part), std::memory_order_seq_cst);
  if (part == Part::of_crew || is_cpu_alarm_set()) {
    notice_work();
  }
}

bool is_watchdog_needed() {
  uint64_t awake = awake_carriers.load(std::memory_order_seq_cst) % kOneWakesUp;
  return awake % kOneApart != 0 || (awake != 0 && is_cpu_alarm_set());
}

void exit_current(Commit last) {
  Fiber& self = *current();
  self.runtime_depth.store(1, std::memory_order_relaxed);
  Carrier& carrier = *self.carrier;
  if (self.kind == FiberKind::light) {
    self.entry = nullptr;
    if (self.of_workers) [[unlikely]] {
      carrier.ended.store(carrier.ended.load(std::memory_order_relaxed) + 1,
                          std::memory_order_seq_cst);
    }
    base::fetch_add(carrier.light_fibers, ~0U, std::memory_order_seq_cst);  // one less
  } else {
    self.wait->reason = {WaitKind::exited, 0};
  }
  carrier.commit = last;
  auto run_last = [](Carrier& left_by, Fiber&) {
    if (left_by.commit.function != nullptr) {
      left_by.commit.function(left_by.commit.argument);
      left_by.hand_over.begin(left_by.switches.load(std::memory_order_relaxed));
    }
  };
  Fiber& next = next_to_run(carrier);
  // Found anew, so that this frame is smaller: of each fiber that ends, it is in the last line of
  // its stack's memory that is touched.
  Fiber& left = *current();
  switch_to_for_ever(*left.carrier, left, next, run_last);
}

void outside_work_began() { outside_work.fetch_add(1, std::memory_order_relaxed); }

void outside_work_ended() { outside_work.fetch_sub(1, std::memory_order_relaxed); }

void set_deadlock_hook(DeadlockHook hook) { deadlock_hook = hook; }

void put_off_signal(Carrier& carrier) {
  carrier.loop.signal_pending.store(true, std::memory_order_relaxed);
  std::atomic_signal_fence(std::memory_order_seq_cst);  // this thread's own sleep() reads it
  wake(carrier);
}

void reset_after_fork() {
  Fiber& self = *current();
  Carrier& carrier = *self.carrier;
  // What was sent to the parent is none of the child's.
  self.signal_pending.store(false, std::memory_order_relaxed);
  self.interrupt_requested.store(false, std::memory_order_relaxed);
  carrier.pinned.clear();
  carrier.hand_over = {};
  carrier.turns = {};
  carrier.ready.clear();
  carrier.inbox.clear();
  while (carrier.idlers.pop_front() != nullptr) {
  }
  carrier.light_fibers.store(self.kind == FiberKind::light ? 1 : 0, std::memory_order_relaxed);
  carrier.aside.store(0, std::memory_order_relaxed);
  carrier.background_timers.store(0, std::memory_order_relaxed);
  carrier.timers.reset();
  carrier.searching = false;
  new (&carrier.watched) Watched;
  carrier.slice = {};
  carrier.cpu.choice.look_anew();
  carrier.has_submitted = false;
  carrier.is_home.store(false, std::memory_order_relaxed);
  carrier.blocking.store(0, std::memory_order_relaxed);
  new (&carrier.yield_wish) YieldWish;
  carrier.sleeping.store(kAwake, std::memory_order_relaxed);
  carrier.loop.signal_pending.store(false, std::memory_order_relaxed);
  carrier.begin_turn();
  carrier.kernel_tid = sys::gettid();
  reset_carriers_after_fork(&carrier);
  reset_workers_after_fork(self);
  reset_bare_carriers_after_fork();
  reset_crew_after_fork();
  reset_apart_after_fork();
  moving.reset();
  reset_watchdog_after_fork();
  reset_cpu_clocks_after_fork(carrier);
  reset_observer_after_fork();
  bool is_apart = carrier.is_bare && carrier.role.load(std::memory_order_relaxed) == Role::apart;
  awake_carriers.store(one_of(is_apart ? Part::apart : Part::of_crew), std::memory_order_relaxed);
  outside_work.store(0, std::memory_order_relaxed);
  polling.store(false, std::memory_order_relaxed);
  poller.store(nullptr, std::memory_order_relaxed);
}

void detach_after_fork() {
  reset_carriers_after_fork(nullptr);
  crew.active.store(0, std::memory_order_relaxed);
  awake_carriers.store(0, std::memory_order_relaxed);
  become_current(nullptr);
}

}  // namespace ramie::core

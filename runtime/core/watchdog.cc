#include "core/watchdog.h"

#include <algorithm>

#include "base/config.h"
#include "base/futex.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/bare_tcb.h"
#include "core/blocking.h"
#include "core/cpu_clock.h"
#include "core/crew.h"
#include "core/errand.h"
#include "core/hogs.h"
#include "core/kernel_slice.h"
#include "core/kernel_thread.h"
#include "core/loop.h"
#include "core/scheduler.h"
#include "core/spread.h"
#include "core/thread_activity.h"
#include "core/thread_state.h"

namespace ramie::core {
namespace {

constexpr int64_t kShortTick = 1'000'000;
constexpr int64_t kLongTick = 500'000'000;
constexpr int64_t kAlarmTick = 4'000'000;  // at most, while there are alarms of CPU clocks
constexpr int kQuietTicks = 10;  // with all carriers asleep, until the watchdog sleeps as well
constexpr int kTicksOfSurplus = 64;

// Also the word on which it waits.  Between "it sleeps" and "a carrier is awake" both sides are
// sequentially consistent: each writes its own and then reads the other's.
enum : uint32_t { kNone, kTicks, kLooks, kSleeps };
constinit std::atomic<uint32_t> state = kNone;
constinit KernelThread thread;
constinit base::Lock starting;
// There may be timers of carriers that are not in the crew's list.
constinit std::atomic<bool> timers_are_left = false;

// What one look at all carriers has found.
struct Findings {
  base::Deadline next;     // the first timer of those that can't fire their own
  bool overdue = false;    // fibers wait behind one that should have switched
  bool unmoved = false;    // some carrier should have switched
  bool blocks = false;     // and its kernel thread blocks signals
  bool stuck = false;      // another carrier got stuck
  bool unwatched = false;  // nobody looks for the events that fibers wait for
  bool deaf = false;       // nobody may be there who takes a signal of the process
  bool helps = false;      // and somebody is free to do something about it

  void note_unmoved(const Carrier& carrier) {
    unmoved = true;
    blocks = blocks || carrier.kernel_mask.load(std::memory_order_relaxed) != 0;
  }
  [[nodiscard]] bool must_help() const { return overdue || unwatched || deaf; }
};

// Of a crowd of fibers that compute until another one has had its turn, each must get a place
// before that one does: what is added doubles then.
constexpr uint32_t kCrowd = 4;
constinit uint32_t stuck_ones = 0;  // the watchdog's own

// What part of a slice is to be used; those that are stuck already share the processors with it.
// More than a few calls take: who was asked to yield does so at the next one.
int64_t part_of_slice(int parts) {
  constexpr int64_t kFewCalls = 400'000;  // ns
  int64_t whole = base::config().slice / parts;
  return std::max(whole / (1 + stuck_ones), std::min(whole, kFewCalls));
}

constinit Hogs hogs;

// A turn of `fiber` on the carrier goes on: is it stuck from now on?  After a slice without a
// switch, or a part of one where it is a hog.  `cpu` is the processor time that the carrier has
// used.
void note_if_stuck(Carrier& carrier, const Fiber* fiber, int64_t now, int64_t cpu) {
  Watched& notes = carrier.watched;
  int64_t used = cpu - notes.cpu_before;
  if (now - notes.since < base::config().slice) {
    if (used >= part_of_slice(16) && hogs.is_one(fiber, now)) {
      notes.is_stuck = true;
      hogs.expect(now);
    }
    return;
  }
  // It may have been asked to yield, and needs time for that.
  bool computes = used >= part_of_slice(2) && notes.cpu_at_long != 0 &&
                  cpu - notes.cpu_at_long >= part_of_slice(8);
  if (computes) {
    hogs.note(fiber, now);
  }
  notes.is_stuck = computes || !is_runnable(carrier.kernel_tid);
}

void fire_timers_of(Carrier& carrier, int64_t now, Findings& found) {
  fire_timers(carrier.timers, now);
  found.next = std::min(found.next, carrier.timers.next());
}

bool make_places(Watched& notes) {
  uint32_t wanted = stuck_ones < kCrowd ? 1 : 2;
  while (notes.places < wanted && raise_limit()) {
    ++notes.places;
  }
  stuck_ones += notes.places > 0 ? 1 : 0;
  return notes.places > 0;
}

void take_places_back(Watched& notes) {
  notes.is_stuck = false;
  stuck_ones -= notes.places > 0 ? 1 : 0;
  for (; notes.places > 0; --notes.places) {
    lower_limit();
  }
}

// A turn counts switches, and each may be a long time after the last: timers and events wait for
// the loop.
void end_long_turn(Carrier& carrier) {
  uint64_t turn = carrier.turn_ends.load(std::memory_order_relaxed);
  if (turn == carrier.watched.turn) {
    carrier.turn_ends.store(0, std::memory_order_relaxed);
  }
  carrier.watched.turn = turn;
}

// Fibers that may go from call to call, none of which has to wait.
void ask_to_yield() {
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    if (carrier->watched.cpu_at_long != 0) {
      carrier->turn_ends.store(0, std::memory_order_relaxed);  // and its loop looks for events
      carrier->yield_wish.ask(carrier->watched.switches);
    }
  }
}

// It has not switched since the last look, and should have.  A turn that lasts in spite of little
// processor time is mostly that of a carrier which waits for a processor: what others would do for
// it makes that worse.
bool lags(const Carrier& carrier, int64_t now) {
  const Watched& notes = carrier.watched;
  if (notes.cpu_at_long != 0 || notes.is_stuck || now - notes.since >= base::config().slice) {
    return true;
  }
  return !carrier.ready.empty() && crew.idle.load(std::memory_order_relaxed) > 0 &&
         !is_runnable(carrier.kernel_tid);
}

void look_at(Carrier& carrier, int64_t now, Findings& found) {
  Watched& notes = carrier.watched;
  uint32_t how = carrier.sleeping.load(std::memory_order_relaxed);
  bool runs = how == kAwake || how == kSummoned;
  bool blocks = is_blocking(carrier);
  // Before the number of switches: it has run since that was noted, if it is still the same.
  const Fiber* fiber = carrier.current.load(std::memory_order_acquire);
  uint64_t switches = carrier.switches.load(std::memory_order_relaxed);
  bool is_gone = carrier.gone.load(std::memory_order_acquire);
  bool is_first_look = notes.cpu_before == 0;  // since it was made, or slept
  if (!runs || switches != notes.switches || blocks || is_gone || is_first_look) {
    notes.switches = switches;
    notes.since = now;
    notes.cpu_at_long = 0;
    notes.cpu_before = runs && !is_gone ? cpu_time(carrier.kernel_tid) : 0;
    take_places_back(notes);
    if (is_gone) {
      fire_timers_of(carrier, now, found);
    } else if (blocks) {
      found.note_unmoved(carrier);
      found.overdue = found.overdue || !carrier.ready.empty();
      fire_timers_of(carrier, now, found);
    } else if (runs) {
      end_long_turn(carrier);
    }
    return;
  }
  if (carrier.role.load(std::memory_order_relaxed) == Role::apart) {
    found.note_unmoved(carrier);
    fire_timers_of(carrier, now, found);  // nobody else waits for it
    return;
  }
  int64_t cpu = cpu_time(carrier.kernel_tid);
  if (!notes.is_stuck) {
    note_if_stuck(carrier, fiber, now, cpu);
  }
  // Most turns end after some microseconds.
  if (notes.cpu_at_long == 0 && cpu - notes.cpu_before >= part_of_slice(4)) {
    notes.cpu_at_long = cpu;
  }
  if (notes.is_stuck && cpu - notes.cpu_before >= part_of_slice(8)) {
    hogs.keep(fiber, now);
  }
  if (lags(carrier, now)) {
    found.note_unmoved(carrier);
    found.overdue = found.overdue || !carrier.ready.empty();
  }
  if (notes.places == 0 && notes.is_stuck && make_places(notes)) {
    found.stuck = true;
    base::log_line(base::LogLevel::debug, "carrier ", carrier.kernel_tid,
                   " has not switched for a slice");
  }
  if (notes.places > 0) {
    fire_timers_of(carrier, now, found);
  }
}

// One that computes is left by nobody who would notice.
void look_at_alarm(Carrier& carrier, int64_t now, Findings& found) {
  int64_t left = nanos_to_alarm(carrier);
  if (left == kNoAlarm) {
    return;
  }
  if (left == 0) {
    signal_hooks().alarm(carrier);
  }
  found.next = std::min(found.next, base::Deadline::after(now, std::max(left, kShortTick)));
}

void look_at_alarms(int64_t now, Findings& found) {
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (!carrier->gone.load(std::memory_order_acquire)) {
      look_at_alarm(*carrier, now, found);
    }
  }
}

// Those of carriers that have ended while a fiber slept that had gone to sleep there.
void fire_timers_that_are_left(int64_t now, Findings& found) {
  if (!timers_are_left.exchange(false, std::memory_order_acquire)) {
    return;
  }
  base::Deadline next;
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (carrier->role.load(std::memory_order_relaxed) == Role::ended) {
      fire_timers(carrier->timers, now);
      next = std::min(next, carrier->timers.next());
    }
  }
  if (!next.is_never()) {
    timers_are_left.store(true, std::memory_order_relaxed);
  }
  found.next = std::min(found.next, next);
}

// Those apart may be thousands, and nobody waits for what they have: it is their only fiber's.
Findings look() {
  int64_t now = base::now();
  Findings found;
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    look_at(*carrier, now, found);
  }
  crew.many_are_stuck.store(stuck_ones >= kCrowd, std::memory_order_relaxed);
  set_slices_of_crew(stuck_ones > 0);
  if (stuck_ones >= 2) {
    part_stuck_carriers(now, stuck_ones);
  }
  if (is_cpu_alarm_set()) {
    look_at_alarms(now, found);
  }
  fire_timers_that_are_left(now, found);
  found.overdue = found.overdue || crew.has_shared();
  if (found.overdue && crew.idle.load(std::memory_order_relaxed) > 0) {
    uint32_t eager = crew.eagerness.load(std::memory_order_relaxed) + 4;
    crew.eagerness.store(std::min(eager, Crew::kMostEager), std::memory_order_relaxed);
  }
  found.unwatched = found.unmoved && are_events_missed();
  if (found.overdue || found.unwatched) {
    ask_to_yield();
  }
  // Who sleeps lets in what some thread lets in; see OpenToSignals.
  found.deaf = found.blocks && crew.idle.load(std::memory_order_relaxed) == 0;
  // One more that may take part is called when there is something for it.
  found.helps = is_anybody_free() && (found.must_help() || found.stuck);
  if (found.helps && (found.must_help() || is_work_somewhere())) {
    call_help_on_suspicion();
  }
  return found;
}

void run(KernelThread&) {
  stuck_ones = 0;
  int64_t tick = kShortTick;
  int quiet = 0;
  int ticks = 0;
  for (;;) {
    base::futex_wait(state, kTicks, base::Deadline::after(base::now(), tick));
    state.store(kTicks, std::memory_order_seq_cst);  // before it looks: it may be called again
    run_errand();
    // One that gets stuck is seen by a first look, and found stuck by one that is a slice later.
    int64_t longest = std::clamp(base::config().slice / 2, kShortTick, kLongTick);
    Findings found = look();
    if (is_cpu_alarm_set()) {
      longest = std::min(longest, kAlarmTick);
    }
    tick = found.helps || hogs.may_return(base::now()) ? kShortTick : std::min(2 * tick, longest);
    tick = std::min(tick, base::nanos_left(found.next));
    quiet = is_watchdog_needed() ? 0 : quiet + 1;
    if (++ticks % kTicksOfSurplus == 0 || quiet == kQuietTicks) {
      send_surplus_away();
    }
    if (quiet < kQuietTicks) {
      continue;
    }
    make_slices_usual();
    uint32_t ticks_on = kTicks;
    if (!state.compare_exchange_strong(ticks_on, kSleeps, std::memory_order_seq_cst)) {
      continue;  // somebody asks for another look
    }
    if (!is_watchdog_needed()) {
      base::futex_wait(state, kSleeps, found.next);  // one that has ended may have left timers
    }
    state.store(kTicks, std::memory_order_seq_cst);
    tick = kShortTick;
    quiet = 0;
  }
}

}  // namespace

bool start_watchdog() {
  base::LockGuard guard(starting);
  if (state.load(std::memory_order_relaxed) != kNone) {
    return true;
  }
  if (thread.fs_base == 0) {  // else it is that of an attempt that failed, or the parent's
    thread.fs_base = make_bare_tcb();
  }
  thread.run = run;
  state.store(kTicks, std::memory_order_relaxed);
  if (thread.fs_base != 0 && start_kernel_thread(thread) == 0) {
    return true;
  }
  state.store(kNone, std::memory_order_relaxed);
  base::log_line(base::LogLevel::warn, "no watchdog: no kernel thread can be made");
  return false;
}

void leave_timers_to_watchdog() {
  timers_are_left.store(true, std::memory_order_release);
  look_now();
}

void look_now() {
  uint32_t seen = state.load(std::memory_order_seq_cst);
  while (seen == kTicks || seen == kSleeps) {
    if (state.compare_exchange_weak(seen, kLooks, std::memory_order_seq_cst)) {
      base::futex_wake(state, 1);
      return;
    }
  }
}

bool is_watchdog_there() { return state.load(std::memory_order_relaxed) != kNone; }

int watchdog_tid() { return static_cast<int>(thread.tid.load(std::memory_order_relaxed)); }

void notice_work() {
  uint32_t sleeps = kSleeps;
  if (state.load(std::memory_order_seq_cst) == kSleeps &&
      state.compare_exchange_strong(sleeps, kTicks, std::memory_order_seq_cst)) {
    base::futex_wake(state, 1);
  }
}

void reset_watchdog_after_fork() {
  reset_thread_state_after_fork();
  reset_slices_after_fork();
  starting.reset();
  reset_errands_after_fork();
  thread.tid.store(0, std::memory_order_relaxed);
  state.store(kNone, std::memory_order_relaxed);
  timers_are_left.store(false, std::memory_order_relaxed);
}

}  // namespace ramie::core

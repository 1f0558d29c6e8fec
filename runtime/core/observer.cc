#include "core/observer.h"

#include <fcntl.h>
#include <linux/close_range.h>

#include <algorithm>
#include <new>

#include "base/config.h"
#include "base/futex.h"
#include "base/log.h"
#include "core/code_sample.h"
#include "core/crew.h"
#include "core/hold_log.h"
#include "core/kernel_thread.h"
#include "core/scheduler.h"

namespace ramie::core {
namespace {

constexpr int64_t kMilli = 1'000'000;
constexpr int64_t kPatience = 5 * base::kNanosPerSecond;  // for the report
constexpr size_t kObserverStack = 128UL * 1024;

// The word on which it sleeps.
//
// | value    | written by      | means                                              |
// |----------|-----------------|----------------------------------------------------|
// | kNone    | after fork      | there is no observer                               |
// | kLooks   | start_observer  | it looks at the carriers                           |
// | kAsked   | audit_report    | it shall write the report; from kLooks alone       |
// | kWritten | the observer    | `report` is there (release, pairs with the reader) |
enum : uint32_t { kNone, kLooks, kAsked, kWritten };
constinit std::atomic<uint32_t> state = kNone;
constinit KernelThread thread;

// The observer's own, until kWritten.
constinit base::MemoryMap map;
constinit HoldLog hold_log;
constinit std::string_view report;

bool audits() { return base::config().audit != base::Config::kNoAudit; }

int64_t audit_threshold() {
  return base::config().audit == 0 ? base::config().slice : base::config().audit;
}

bool reports_blocked() { return base::config().blocked == base::BlockedAction::report; }

// How long it has held up the carrier: computing counts by the processor time that it has used,
// since one that is not given a processor does nothing.
int64_t length_of(const Activity& activity, int64_t lasted, int64_t used) {
  return activity.call == Activity::kNothing    ? 0
         : activity.call == Activity::kComputes ? std::min(lasted, used)
                                                : lasted;
}

void find_callers_of(Hold& hold, int tid) {
  Activity& activity = hold.activity;
  bool known = activity.call != Activity::kComputes || sample_code(tid, activity.pc, activity.sp);
  map.read();
  hold.callers = known ? find_callers(map, activity.pc, activity.sp) : CallChain{};
  hold.has_callers = true;
}

// The fiber has gone on to something else.
void close_activity(Hold& hold, int tid) {
  int64_t length = length_of(hold.activity, hold.activity_until - hold.activity_since,
                             cpu_time(tid) - hold.activity_cpu);
  if (hold.has_callers && audits() && length >= audit_threshold()) {
    hold_log.add(hold.activity, hold.callers, length, map);
  }
  hold.activity = {};
  hold.has_callers = false;
}

void close_hold(Hold& hold, int64_t now) {
  if (hold.is_reported) {
    base::Line<512> line;
    line << "ramie: fiber " << hold.fiber << " has let others run again after "
         << (now - hold.since) / kMilli << " ms";
    base::write_message(line.ended());
  }
  hold.is_reported = false;
}

void note_activity(Hold& hold, int tid, int64_t now) {
  Activity seen = activity_of(tid);
  bool is_same = seen.call == hold.activity.call &&
                 (seen.call == Activity::kComputes || seen == hold.activity);
  if (!is_same) {
    close_activity(hold, tid);
    hold.activity = seen;
    hold.activity_since = now;
    hold.activity_cpu = cpu_time(tid);
  }
  hold.activity_until = now;
  if (audits() && !hold.has_callers && now - hold.activity_since >= audit_threshold()) {
    find_callers_of(hold, tid);
  }
}

// What a report says of a fiber.  That one may end while it is read, and its memory, which stays,
// become another's; so who uses this asks afterwards whether the carrier has switched.
struct Seen {
  uint64_t id = 0;
  FiberKind kind = FiberKind::thread;
  char name[sizeof Fiber::name] = {};
};

[[gnu::no_sanitize_thread]] Seen look_at_fiber(const Fiber& fiber) {
  Seen seen;
  seen.id = fiber.id;
  seen.kind = fiber.kind;
  const volatile char* name = fiber.name;
  for (size_t i = 0; i < sizeof seen.name - 1; ++i) {
    seen.name[i] = name[i];
  }
  return seen;
}

// Light fibers, which can't run elsewhere, but for the running one.
uint32_t count_held_up(const Carrier& carrier, const Seen& running) {
  uint32_t light = carrier.light_fibers.load(std::memory_order_relaxed);
  return running.kind == FiberKind::light && light > 0 ? light - 1 : light;
}

void report_blocked(Carrier& carrier, const Seen& running, int64_t now) {
  Hold& hold = carrier.hold;
  uint32_t held_up = count_held_up(carrier, running);
  int64_t lasted = now - hold.since;
  int64_t used = cpu_time(carrier.kernel_tid) - hold.cpu_before;
  if (hold.is_reported || held_up == 0 ||
      length_of(hold.activity, lasted, used) < base::config().slice) {
    return;
  }
  if (!hold.has_callers) {
    find_callers_of(hold, carrier.kernel_tid);
  }
  if (carrier.switches.load(std::memory_order_acquire) != hold.switches) {
    return;  // it has just switched, and what was found may be another's
  }
  hold.is_reported = true;
  hold.fiber = running.id;
  base::Line<512> line;
  line << "ramie: fiber " << running.id;
  if (running.kind == FiberKind::thread) {
    line << " (the thread's own)";
  } else if (running.name[0] != '\0') {
    line << " (" << running.name << ")";
  }
  line << " has let no other run for " << lasted / kMilli << " ms, ";
  describe_activity(line, hold.activity.call);
  line << "; behind it: " << held_up << (held_up == 1 ? " fiber" : " fibers");
  base::write_message(line.ended());
  for (size_t i = 0; i < hold.callers.count; ++i) {
    base::Line<512> frame;
    frame << "ramie:   " << (i == 0 ? "at " : "from ");
    describe_code(frame, map, hold.callers.frames[i]);
    base::write_message(frame.ended());
  }
}

// True if a fiber runs there.
bool look_at(Carrier& carrier, int64_t now) {
  Hold& hold = carrier.hold;
  uint32_t how = carrier.sleeping.load(std::memory_order_relaxed);
  bool runs = (how == kAwake || how == kSummoned) && !carrier.gone.load(std::memory_order_acquire);
  uint64_t switches = carrier.switches.load(std::memory_order_relaxed);
  const Fiber* running = carrier.current.load(std::memory_order_relaxed);
  // Behind a fiber that has a carrier apart, nobody waits.
  runs = runs && running != nullptr && running != &carrier.loop &&
         carrier.role.load(std::memory_order_relaxed) != Role::apart;
  if (!runs || switches != hold.switches) {
    close_activity(hold, carrier.kernel_tid);
    close_hold(hold, now);
    hold.switches = switches;
    hold.since = now;
    hold.cpu_before = runs ? cpu_time(carrier.kernel_tid) : 0;
    return runs;
  }
  note_activity(hold, carrier.kernel_tid, now);
  if (reports_blocked()) {
    report_blocked(carrier, look_at_fiber(*running), now);
  }
  return true;
}

void write_report() {
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    close_activity(carrier->hold, carrier->kernel_tid);
  }
  map.read();
  report = hold_log.render(audit_threshold(), map);
}

void run(KernelThread&) {
  // Files of its own: those that it opens take no number of the program's.  Descriptor 2 is for the
  // reports of RAMIE_BLOCKED; kept without need, it might be the end of a pipe that somebody waits
  // for.
  if (sys::call(SYS_close_range, reports_blocked() ? 3 : 0, ~0U, CLOSE_RANGE_UNSHARE) == 0) {
    (void)sys::call(SYS_close_range, 0, 1, 0);
  }
  for (;;) {
    bool busy = false;
    int64_t now = base::now();
    for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
      busy = look_at(*carrier, now) || busy;
    }
    uint32_t seen = state.load(std::memory_order_acquire);
    if (seen == kAsked) {
      write_report();
      state.store(kWritten, std::memory_order_release);
      base::futex_wake(state, 1);
      return;
    }
    (void)base::futex_wait(state, seen, base::Deadline::after(now, busy ? kMilli : 2 * kMilli));
  }
}

}  // namespace

void start_observer() {
  uint32_t none = kNone;
  if ((!audits() && !reports_blocked()) || !state.compare_exchange_strong(none, kLooks)) {
    return;
  }
  prepare_samples();
  thread.stack_size = kObserverStack;
  thread.run = run;
  if (start_kernel_thread(thread) != 0) {
    state.store(kNone, std::memory_order_relaxed);
    base::log_line(base::LogLevel::warn, "no audit: no kernel thread can be made");
  }
}

std::string_view audit_report() {
  uint32_t looks = kLooks;
  if (!audits() || !state.compare_exchange_strong(looks, kAsked)) {
    return {};
  }
  base::futex_wake(state, 1);
  base::Deadline patience = base::Deadline::after(base::now(), kPatience);
  while (state.load(std::memory_order_acquire) == kAsked && !patience.passed(base::now())) {
    (void)base::futex_wait(state, kAsked, patience);
  }
  return state.load(std::memory_order_acquire) == kWritten ? report : std::string_view();
}

void reset_observer_after_fork() {
  if (state.exchange(kNone, std::memory_order_relaxed) == kNone) {
    return;
  }
  thread.tid.store(0, std::memory_order_relaxed);
  hold_log.~HoldLog();
  new (&hold_log) HoldLog;
}

}  // namespace ramie::core

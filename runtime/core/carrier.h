// A carrier: the kernel thread that runs fibers, one at a time.
//
// Fibers switch directly to each other; the carrier's loop (a stack of its own) runs only when no
// fiber is ready, and every now and then, to look at timers and events (Turns::span()).
#pragma once

#include <atomic>
#include <cstdint>

#include "core/cpu_clock.h"
#include "core/fault.h"
#include "core/fiber.h"
#include "core/hand_over.h"
#include "core/hold.h"
#include "core/idle.h"
#include "core/kernel_slice.h"
#include "core/park.h"
#include "core/run_queue.h"
#include "core/slot_cache.h"
#include "core/spread.h"
#include "core/steal_queue.h"
#include "core/timer.h"
#include "core/tls.h"
#include "core/turns.h"
#include "core/yield_wish.h"

namespace ramie::core {

struct CarrierRing;

// The watchdog's notes on a carrier; its own.
struct Watched {
  uint64_t switches = 0;
  int64_t since = 0;       // when it was first seen with this number
  int64_t cpu_before = 0;  // and how much processor time it had used then
  uint64_t turn = 0;       // Carrier::turn_ends, as it was last seen
  // How much processor time it had used when the turn of its fiber was first found to be long; 0:
  // it is not.
  int64_t cpu_at_long = 0;
  bool is_stuck = false;
  // How many more take part because it is stuck; none if there are too many.  Others may read it.
  std::atomic<uint32_t> places = 0;
};

// Numbers for fibers, from which the carrier takes without asking the others.
struct FiberIds {
  uint64_t next = 0;
  uint64_t end = 0;
};

// What part a carrier takes.
enum class Role : uint8_t {
  crew,     // runs whatever is ready
  leaving,  // the same, until its loop has its next turn
  apart,    // runs the fibers that are at home there (apart.h)
  ending,   // a bare one that ends; if it is apart, when none is at home there
  ended,    // its kernel thread is gone, and was a bare one
};

struct Carrier {
  // What to do once the stack that is being left is left; runs on the next one.
  using After = void (*)(Carrier& carrier, Fiber& left);

  Carrier() {
    thread.wait = &wait_of_thread;
    loop.wait = &wait_of_loop;
  }

  // Owned by this carrier's kernel thread.
  tls::Cpu cpu;
  fault::Thread fault;
  Fiber* previous = nullptr;  // whose stack was left by the switch under way
  After after = nullptr;
  Commit commit;       // for `after`; see park()
  SlotCache stacks;    // for light fibers
  SlotCache blocks;    // likewise, for their control blocks
  FiberIds ids;        // likewise
  RunQueue pinned;     // ready fibers whose home this is
  HandOver hand_over;  // of these
  Turns turns;
  base::IntrusiveList<Idler> idlers;
  bool is_bare = false;    // its kernel thread is Ramie's own: no fiber's home, but for make_home()
  bool searching = false;  // was woken to look for work, and has found none yet
  // The program has submitted to a ring of its own from here: what is under way there would be
  // cancelled with the kernel thread.
  bool has_submitted = false;
  std::atomic<bool> is_home = false;  // bare, and see crew.h, make_home()
  int64_t now = 0;                    // the clock at the loop's last turn
  int64_t last_poll = 0;
  uint32_t unlooked = 0;        // see loop.h, OpenToSignals
  SharedTcb shared;             // of its kernel thread: the thread's own and its light fibers
  void* no_exceptions[2] = {};  // for programs without C++
  CarrierRing* ring = nullptr;  // see poller.h; null until its fibers need one
  Fiber thread;                 // the kernel thread's own stack, as a fiber
  Fiber loop;
  WaitState wait_of_thread;
  WaitState wait_of_loop;
  int kernel_tid = 0;

  // Written by the carrier alone, read by others.
  std::atomic<Fiber*> current = nullptr;  // what runs now: a fiber, the thread's own, or the loop
  std::atomic<uint64_t> switches = 0;
  // When so many switches were made, the loop has its turn.  The watchdog may end a turn, too.
  std::atomic<uint64_t> turn_ends = Turns{}.span();
  std::atomic<uint64_t> parks = 0;
  std::atomic<uint64_t> background_parks = 0;   // of these, sleeps in the background
  std::atomic<uint32_t> background_timers = 0;  // and those under way
  std::atomic<uint64_t> kernel_mask = 0;  // the signal mask that the kernel has for this thread
  YieldWish yield_wish;
  std::atomic<uint64_t> credentials = 0;  // the shim's: which change of them it has made

  CpuAccount cpu_account;

  // A worker's, see workers.h; likewise.
  std::atomic<uint64_t> born = 0;   // how many fibers were spawned here that count as the workers'
  std::atomic<uint64_t> ended = 0;  // and how many of these have ended here
  std::atomic<uint64_t> offers = 0;
  uint32_t taken_in = 0;
  uint32_t worker_turns = 0;
  Carrier* passes_to = nullptr;
  uint64_t passes_seen = 0;  // how often that one had switched, and when that was seen to change
  int64_t passes_since = 0;

  // Any thread.
  StealQueue ready;  // ready fibers that any carrier may run; none on one that stands apart
  std::atomic<bool> is_worker = false;
  Inbox inbox;  // pinned fibers that others made ready
  TimerHeap timers;
  std::atomic<uint32_t> sleeping = 0;  // see crew.h, Sleep
  std::atomic<Role> role = Role::crew;
  std::atomic<uint32_t> light_fibers = 0;  // that belong here and have not ended
  // Of light_fibers, those that do not keep others waiting for the rest (api/background.cc), and
  // whether somebody waits for it: for that of this carrier, or for all workers'.
  static constexpr uint32_t kOwnRest = 1;
  static constexpr uint32_t kRestOfWorkers = 2;
  std::atomic<uint32_t> aside = 0;
  std::atomic<uint32_t> rest_awaited = 0;
  // Whether it blocks in the kernel by its own account (core/blocking.h): `switches` + 1 as it said
  // so, or 0.
  std::atomic<uint64_t> blocking = 0;
  Watched watched;
  std::atomic<bool> gone = false;     // its kernel thread has ended
  std::atomic<bool> retired = false;  // the same, and no fiber is bound to it: free for another
  Carrier* next_carrier = nullptr;    // list of all; written once
  std::atomic<Carrier*> next_in_crew = nullptr;  // see loop.h, carriers_of_crew()
  Hold hold;                                     // the observer's, as `watched` is the watchdog's
  Spread spread;
  KernelSlice slice;

  // The carrier itself: the loop has run, and does so again a good while later.
  void begin_turn() {
    turn_ends.store(switches.load(std::memory_order_relaxed) + turns.span(),
                    std::memory_order_relaxed);
  }

  [[nodiscard]] bool has_ready() const { return !pinned.empty() || !ready.empty(); }

  // The next fiber of its own queues, from both in turn; null when they are empty.
  [[nodiscard, gnu::always_inline]] Fiber* take_ready() {
    if (pinned.empty()) [[unlikely]] {
      return take_homeless();
    }
    if ((switches.load(std::memory_order_relaxed) & 1) != 0 && !ready.empty()) [[unlikely]] {
      if (Fiber* fiber = take_homeless()) {
        return fiber;
      }
    }
    return pinned.pop();
  }

 private:
  Fiber* take_homeless();
};

// The fiber that runs on this kernel thread; null on a kernel thread that isn't a carrier.  The
// thread-local behind it belongs to the TCB, which changes with the fiber: so it is read by an
// instruction of its own each time, whose address no compiler can keep across a switch.
[[nodiscard]] inline Fiber* current() {
  Fiber* fiber;
  asm volatile(
      "movq ramie_current_fiber@gottpoff(%%rip), %0\n\t"
      "movq %%fs:(%0), %0"
      : "=r"(fiber));
  return fiber;
}

// Where current() is stored, relative to a TCB's FS base.
[[nodiscard]] inline intptr_t current_offset() {
  intptr_t offset;
  asm("movq ramie_current_fiber@gottpoff(%%rip), %0" : "=r"(offset));
  return offset;
}

// Makes current() answer `fiber` on a TCB that no kernel thread has yet, from the first instruction
// on: a switch loads the FS base before it says who runs, and a signal may come in between.
inline void set_first(uintptr_t fs_base, Fiber* fiber) {
  *reinterpret_cast<Fiber**>(fs_base + static_cast<uintptr_t>(current_offset())) = fiber;
}

// While one lives, signal handlers of the program are put off (see Fiber::runtime_depth); the end
// of the outermost makes up for that.
class RuntimeSection {
 public:
  [[gnu::always_inline]] explicit RuntimeSection(Fiber& fiber) : fiber_(fiber) { begin(fiber); }
  [[gnu::always_inline]] ~RuntimeSection() { end(fiber_); }
  RuntimeSection(const RuntimeSection&) = delete;
  RuntimeSection& operator=(const RuntimeSection&) = delete;

  // The same in two pieces.
  [[gnu::always_inline]] static void begin(Fiber& fiber) { set(fiber, depth(fiber) + 1); }
  [[gnu::always_inline]] static void end(Fiber& fiber) {
    uint32_t rest = depth(fiber) - 1;
    set(fiber, rest);
    if (rest == 0) [[likely]] {
      if (must_leave_properly(fiber)) [[unlikely]] {
        leave_properly(fiber);
      }
    }
  }

 private:
  // No read-modify-write: nobody else writes, and a handler leaves the value as it found it.
  static uint32_t depth(const Fiber& fiber) {
    return fiber.runtime_depth.load(std::memory_order_relaxed);
  }
  static void set(Fiber& fiber, uint32_t depth) {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // pairs with the handler on this thread
    fiber.runtime_depth.store(depth, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }
  static bool must_leave_properly(const Fiber& fiber) {
    return fiber.carrier->kernel_mask.load(std::memory_order_relaxed) != fiber.signal_mask ||
           fiber.signal_pending.load(std::memory_order_relaxed);
  }
  // Static, as all of it, so that a compiler which sees that nobody has the section's address keeps
  // it nowhere.
  [[gnu::cold]] static void leave_properly(Fiber& fiber);

  Fiber& fiber_;
};

// A light fiber that has not begun and was in the carrier's StealQueue gets a home (workers.h).  If
// that is another one's, the next one from the queue, or null.
[[nodiscard]] Fiber* take_in(Carrier& carrier, Fiber& fiber);

// Not inline: it would keep what follows from being so, where light fibers switch.
[[gnu::noinline]] inline Fiber* Carrier::take_homeless() {
  Fiber* fiber = ready.pop();
  if (fiber != nullptr && fiber->busy != 0 && put_off(*this, *fiber)) [[unlikely]] {
    return nullptr;
  }
  return fiber == nullptr || fiber->kind != FiberKind::light ? fiber : take_in(*this, *fiber);
}

// The fiber that runs next: a ready one, or the loop when there is none or its turn has come.  Laid
// out for light fibers, as all that a switch goes through: each jump costs them something.
[[nodiscard, gnu::always_inline]] inline Fiber& next_to_run(Carrier& carrier) {
  if (carrier.switches.load(std::memory_order_relaxed) >=
      carrier.turn_ends.load(std::memory_order_relaxed)) [[unlikely]] {
    return carrier.loop;
  }
  Fiber* next = carrier.take_ready();
  if (next == nullptr) [[unlikely]] {
    return carrier.loop;
  }
  return *next;
}

// The same when the running fiber parks.
[[nodiscard, gnu::always_inline]] inline Fiber& next_after_park(Carrier& carrier) {
  uint64_t turn = carrier.switches.load(std::memory_order_relaxed);
  if (turn < carrier.turn_ends.load(std::memory_order_relaxed)) [[likely]] {
    if (Fiber* handed = carrier.hand_over.take(carrier.pinned, carrier.ready, turn)) {
      return *handed;
    }
  }
  return next_to_run(carrier);
}

// Makes current() answer `fiber`, or null, on the calling kernel thread.
void become_current(Fiber* fiber);

// For a call that sets the mask for its own duration.
struct SleepMask {
  uint64_t before = 0;
  uint64_t during = 0;
  bool is_noted = false;  // in Carrier::kernel_mask, where a handler may have set another one since
};

// The shim's share in signals, and in what else the kernel keeps by thread; all null in programs
// without it, where signals are left alone.
struct SignalHooks {
  // On arrival on a stack: the kernel lets signals through which this fiber blocks.
  void (*block)(Carrier& carrier, Fiber& arrived) = nullptr;
  // A fiber leaves the runtime and goes back to the program: the kernel's mask is not the fiber's,
  // or Fiber::signal_pending is set.  Handlers of the program may run in here, and switch.
  void (*leave)(Fiber& fiber) = nullptr;
  // The loop, when a signal was put off (see put_off_signal()).
  void (*hand_out)(Carrier& carrier) = nullptr;
  // The loop, before a carrier sleeps: the kernel's mask becomes a sleeper's.  With `noted`, that
  // is left to the call by which it sleeps; Carrier::kernel_mask says so already.
  void (*open)(Carrier& carrier, SleepMask* noted) = nullptr;
  // A bare carrier begins, on its kernel thread, before it runs any fiber.  False: it must not.
  bool (*begin)(Carrier& carrier) = nullptr;
  // Whether that may be.
  bool (*may_refuse)() = nullptr;
  // A kernel thread that runs no fiber is about to start one of the crew's: it takes on what the
  // process has changed for all threads.  `credentials` as Carrier::credentials.
  void (*follow)(std::atomic<uint64_t>& credentials) = nullptr;
  // The alarm of a fiber that runs on the carrier, or has just left it, is due (cpu_clock.h).  In
  // the middle of a switch, or on the watchdog's kernel thread.
  void (*alarm)(Carrier& carrier) = nullptr;
};

// `hooks` is kept by address.
void set_signal_hooks(const SignalHooks* hooks);
[[nodiscard]] const SignalHooks& signal_hooks();

// The first code on each new stack: finishes the switch and calls the fiber's entry.
void fiber_main(Arrival arrival);

}  // namespace ramie::core

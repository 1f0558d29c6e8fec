// The control block of a fiber.
//
// A fiber is *hosted* (a thread of an unmodified program: glibc made its TCB, and its FS base goes
// with it) or *light* (ramie::spawn: it shares the TCB of its carrier, which it never leaves).
//
// `state` holds (epoch, wake, phase) in one word; every transition of a park is one
// compare-exchange:
//
// | phase    | who runs it                    | prepare_park()    | unpark(ticket of this epoch)  |
// |----------|--------------------------------|-------------------|-------------------------------|
// | idle     | running, ready, not started    | prepared, epoch+1 | loses                         |
// | prepared | running, and about to park     | -                 | notified, wins                |
// | notified | as prepared, but already woken | -                 | loses                         |
// | parked   | nobody: its stack is left      | -                 | idle, wins, makes it ready    |
//
// prepared -> parked happens on the next fiber's stack, after `commit` (finish_park); where it
// fails because of a notification, that same code makes the fiber ready.  While there is one kernel
// thread it mostly happens before the switch (park_here.h).
//
// `wake` says how a park has ended.  Before, in "prepared" and "parked", Wake::cancelled there
// means that cancel() may end it, and Wake::unparked that it may not.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/deadline.h"
#include "core/context.h"
#include "core/sanitizer.h"
#include "core/state_word.h"
#include "core/ticket.h"
#include "core/timer.h"

namespace ramie::core {

struct Carrier;
struct Fiber;

enum class Phase : uint8_t { idle, prepared, notified, parked };

enum class WaitKind : uint8_t {
  none,
  sleep,
  descriptor,
  address,
  child,
  offload,
  helper,
  join,
  exited
};

// What a parked fiber waits for, for the dumps: the descriptor, address or process.
struct WaitReason {
  WaitKind kind = WaitKind::none;
  uint64_t object = 0;
};

enum class FiberKind : uint8_t { thread, loop, light, hosted };

struct Stack {
  char* base = nullptr;  // lowest byte; the guard page lies below it
  size_t size = 0;

  [[nodiscard]] char* top() const { return base + size; }
};

// What the fibers on one TCB share, and each has to find as it left it: kept in its WaitState while
// it doesn't run.
struct SharedTcb {
  int* errno_address = nullptr;
  void** exceptions = nullptr;  // the C++ runtime's __cxa_eh_globals, two words
};

// What only a fiber that has begun needs, and most of that only one that waits.  Unless told
// otherwise, it is the fiber's own.
struct alignas(64) WaitState {
  WaitReason reason;
  int64_t since = 0;
  void* scopes = nullptr;                      // the time-out scopes it is in, innermost first
  alignas(16) void* saved_exceptions[2] = {};  // see SharedTcb
  base::Deadline scopes_end{};                 // the earliest end of `scopes`
  int saved_errno = 0;                         // see SharedTcb
  Timer timer;
  Fiber* fiber = nullptr;  // of a light fiber: whose it is
  // Of all others: what it was charged, and at which time of that somebody is to be told
  // (cpu_clock.h).
  std::atomic<int64_t> cpu_time = 0;
  std::atomic<int64_t> cpu_alarm = INT64_MAX;
  const SharedTcb* tcb = nullptr;  // of a fiber that shares one, once it has run
};

struct alignas(64) Fiber {
  using Entry = void (*)(Fiber&);

  Fiber() = default;
  // Where another fiber has been.  Its tickets must stay stale, so its epochs go on.
  explicit Fiber(Recycled recycled, WaitState* own = nullptr) : wait(own), state(recycled) {
    uint64_t last = epoch_of(state.load(std::memory_order_relaxed));
    state.store(pack(last + 1, Wake::unparked, Phase::idle), std::memory_order_relaxed);
  }
  // The same where a light fiber has ended, which left everything else as a new one needs it.  What
  // create_light_fiber() and settle_light_fiber() set is left to them.
  void begin_again() {
    uint64_t last = epoch_of(state.load(std::memory_order_relaxed));
    state.store(pack(last + 1, Wake::unparked, Phase::idle), std::memory_order_relaxed);
    context = nullptr;
    signal_pending.store(false, std::memory_order_relaxed);
    interrupt_requested.store(false, std::memory_order_relaxed);
    cancel_requested.store(false, std::memory_order_relaxed);
    done.store(0, std::memory_order_relaxed);
    interruptions_off = 0;
    keeps_stack = 0;
    interruptible = false;
    name[0] = '\0';
  }

  static constexpr uint64_t pack(uint64_t epoch, Wake wake, Phase phase) {
    return epoch << 16 | static_cast<uint64_t>(wake) << 8 | static_cast<uint64_t>(phase);
  }
  static constexpr uint64_t epoch_of(uint64_t state) { return state >> 16; }
  static constexpr Wake wake_of(uint64_t state) { return static_cast<Wake>(state >> 8 & 0xff); }
  static constexpr Phase phase_of(uint64_t state) { return static_cast<Phase>(state & 0xff); }

  // What a switch needs fills the first cache line.  Unless told otherwise, it is written by the
  // carrier that runs the fiber, or that last did, and handed on with the fiber.
  Context context = nullptr;             // of a light fiber: null until it is given a stack
  Carrier* carrier = nullptr;            // rewritten at each resume
  std::atomic<Carrier*> home = nullptr;  // the only carrier that may run it; null: any
  Fiber* queue_next = nullptr;           // owned by the queue that the fiber is on
  uintptr_t fs_base = 0;
  WaitState* wait = nullptr;                 // of a light fiber: on its stack, while it has one
  uint64_t signal_mask = 0;                  // what the kernel must block while this fiber runs
  std::atomic<bool> signal_pending = false;  // a signal was put off, see runtime_depth
  std::atomic<bool> interrupt_requested = false;  // interrupt() found it in no park
  std::atomic<bool> cancel_requested = false;     // of a light fiber; see cancel() in park.cc
  FiberKind kind = FiberKind::light;
  bool interruptible = false;  // the parks that come may end by an interruption (interruptible.h)
  bool shares_tcb = false;     // else the TCB is its own, or it uses nothing of it (SharedTcb)
  bool of_workers = false;     // a light one that counts as the workers' (workers.h)
  uint8_t busy = 0;            // its turns are long; how often others go first (turns.h)

  // What a fiber that never waits needs besides, from its start to the end of its handle, fills the
  // second one.
  StateWord state{pack(1, Wake::unparked, Phase::idle)};
  Entry entry = nullptr;  // null for a light one that has not started, or has ended
  void* argument = nullptr;
  std::atomic<uint32_t> references = 0;  // of a light fiber: its run and its handle
  std::atomic<uint32_t> done = 0;        // of a light fiber: see api/fiber.cc
  Ticket joiner;                         // likewise
  uint64_t id = 0;
  uint32_t interruptions_off : 21 = 0;  // how many scopes forbid them, see interruptible.h
  // Of a light fiber, see stack.cc: which slabs its stack and its control block are from, and
  // whether its task lies on the stack, which it keeps therefore as long as there is a handle.
  uint32_t stack_order : 6 = 0;
  uint32_t block_kind : 4 = 0;
  uint32_t keeps_stack : 1 = 0;
  // More than zero while the fiber is inside the runtime: a signal handler of the program must not
  // run then (it might call back into a lock that its own stack holds).  Written by the fiber
  // alone, read by the signal handler on the same kernel thread.  A new fiber starts in the
  // runtime.  In a word with nothing that a switch reads: a processor may stumble over that so soon
  // after the write (a yield is slower by a quarter on an AMD EPYC 9005).
  std::atomic<uint32_t> runtime_depth = 1;

  // What is written when it is made, and then left alone.
  alignas(64) uint64_t parent = 0;  // of a light fiber: the id of its spawner
  char name[16] = {};
  Stack stack;
  void* host = nullptr;  // what the shim knows of a hosted fiber
  [[no_unique_address]] SanitizerState sanitizer;
  // Of a light fiber: where its task begins.
  alignas(16) std::byte room[16] = {};
};

// One that has its wait state beside it.
struct WholeFiber : Fiber {
  constexpr WholeFiber() { wait = &own_wait; }
  // Others may look at its wait state at any time.
  explicit WholeFiber(Recycled recycled) : Fiber(recycled, &own_wait) {}

  WaitState own_wait;
};

// Whether it is on its way out, and runs nothing of the program's any more.
[[nodiscard]] inline bool has_exited(const Fiber& fiber) {
  return fiber.kind != FiberKind::light && fiber.wait->reason.kind == WaitKind::exited;
}

}  // namespace ramie::core

#include "core/scheduler.h"

#include <sys/mman.h>

#include <cerrno>
#include <new>

#include "base/check.h"
#include "base/sys.h"
#include "core/switch.h"

// The C++ runtime's exception state of a thread, if the program has a C++ runtime.
extern "C" [[gnu::weak]] void* exception_globals_of_thread() asm("__cxa_get_globals");

namespace ramie::core {

namespace {

constexpr size_t kLoopStack = 64UL * 1024;
constexpr int64_t kPollInterval = 50'000;  // ns between two looks at the poller while fibers run

// Sleeping and waking
//
// Carrier::sleeping says how the carrier sleeps, and is the word on which it does:
//
// | word        | the carrier                    | how to wake it          |
// |-------------|--------------------------------|-------------------------|
// | kAwake      | runs, and will look at its inbox before it sleeps | -    |
// | kInFutex    | sleeps on the word, or is about to                | futex |
// | kInPoller   | sleeps in the poller, or is about to              | poller->wake() |
//
// The carrier stores kInFutex/kInPoller and then looks at its inbox; a waker pushes into the inbox
// and then exchanges the word.  All four are sequentially consistent, so one of them sees the
// other.
enum : uint32_t { kAwake, kInFutex, kInPoller };

constinit std::atomic<const Poller*> poller = nullptr;
constinit std::atomic<bool> polling = false;  // one carrier at a time is in the poller
constinit std::atomic<Carrier*> all_carriers = nullptr;
constinit std::atomic<uint32_t> outside_work = 0;
constinit std::atomic<uint32_t> awake_carriers = 0;
constinit DeadlockHook deadlock_hook = nullptr;

void wake(Carrier& carrier) {
  uint32_t how = carrier.sleeping.exchange(kAwake, std::memory_order_seq_cst);
  if (how == kInFutex) {
    base::futex_wake(carrier.sleeping, 1);
  } else if (how == kInPoller) {
    poller.load(std::memory_order_acquire)->wake();
  }
}

// The carrier that polled has found work: another one that sleeps takes over.
void hand_over_polling(const Carrier& self) {
  for (Carrier* other = carriers(); other != nullptr; other = other->next_carrier) {
    if (other != &self && other->sleeping.load(std::memory_order_relaxed) == kInFutex) {
      wake(*other);
      return;
    }
  }
}

void fire_timers(Carrier& carrier) {
  Ticket ticket;
  while (carrier.timers.take_due(carrier.now, ticket)) {
    (void)unpark(ticket, Wake::timed_out);
  }
}

bool is_standstill(const Poller* events) {
  return awake_carriers.load(std::memory_order_relaxed) == 0 &&
         outside_work.load(std::memory_order_relaxed) == 0 &&
         (events == nullptr || !events->has_waiters());
}

void sleep(Carrier& carrier) {
  const Poller* events = poller.load(std::memory_order_acquire);
  bool polls = events != nullptr && !polling.exchange(true, std::memory_order_acquire);
  carrier.sleeping.store(polls ? kInPoller : kInFutex, std::memory_order_seq_cst);
  awake_carriers.fetch_sub(1, std::memory_order_relaxed);
  if (carrier.kernel_mask != 0) {
    signal_hooks().idle(carrier, false);
  }
  if (carrier.inbox.empty() && !carrier.loop.signal_pending.load(std::memory_order_relaxed)) {
    base::Deadline until = carrier.timers.next();
    if (until.is_never() && is_standstill(events) && deadlock_hook != nullptr) [[unlikely]] {
      deadlock_hook();
    }
    if (polls) {
      events->wait(until, carrier.cpu);
    } else {
      base::futex_wait(carrier.sleeping, kInFutex, until);
      tls::refresh(carrier.cpu);
    }
  }
  awake_carriers.fetch_add(1, std::memory_order_relaxed);
  carrier.sleeping.store(kAwake, std::memory_order_relaxed);
  if (polls) {
    polling.store(false, std::memory_order_release);
    hand_over_polling(carrier);
  }
}

void look_at_events(Carrier& carrier) {
  const Poller* events = poller.load(std::memory_order_acquire);
  if (events != nullptr && carrier.now - carrier.last_poll >= kPollInterval &&
      !polling.exchange(true, std::memory_order_acquire)) {
    carrier.last_poll = carrier.now;
    events->wait(base::Deadline::at(0), carrier.cpu);
    polling.store(false, std::memory_order_release);
  }
}

void run_loop(Fiber& loop) {
  for (;;) {
    Carrier& carrier = *loop.carrier;
    carrier.switches_left = Carrier::kSwitchesPerTurn;
    carrier.inbox.drain_into(carrier.queue);
    carrier.now = base::now();
    fire_timers(carrier);
    if (loop.signal_pending.exchange(false, std::memory_order_relaxed)) [[unlikely]] {
      signal_hooks().idle(carrier, true);
    }
    if (carrier.queue.empty()) {
      sleep(carrier);
    } else {
      look_at_events(carrier);
    }
    if (Fiber* next = carrier.queue.pop()) {
      switch_to(carrier, loop, *next, nullptr);
    }
  }
}

char* map_stack(size_t size) {
  long memory = sys::call(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  RAMIE_CHECK(!sys::failed(memory));
  return reinterpret_cast<char*>(memory);
}

void make_loop(Carrier& carrier) {
  Fiber& loop = carrier.loop;
  loop.kind = FiberKind::loop;
  loop.carrier = &carrier;
  loop.stack = {map_stack(kLoopStack), kLoopStack};
  loop.entry = run_loop;
  loop.context = make_context(loop.stack.top(), loop.stack.size, fiber_main);
  loop.sanitizer.create(loop.stack.base, loop.stack.size);
}

// What a carrier has of the kernel thread that it is.
void take_thread(Carrier& carrier) {
  carrier.cpu.own_fs = tls::self();
  carrier.cpu.current_fs = carrier.cpu.own_fs;
  carrier.errno_address = &errno;
  carrier.exceptions_address = exception_globals_of_thread != nullptr
                                   ? static_cast<void**>(exception_globals_of_thread())
                                   : nullptr;
  carrier.kernel_tid = sys::gettid();
  carrier.now = base::now();
  carrier.current = &carrier.thread;
  carrier.thread.kind = FiberKind::thread;
  carrier.thread.carrier = &carrier;
  carrier.thread.fs_base = carrier.cpu.own_fs;
  carrier.thread.runtime_depth.store(0, std::memory_order_relaxed);
  carrier.thread.sanitizer.adopt_thread();
  carrier.loop.fs_base = carrier.cpu.own_fs;
}

Carrier* reuse_carrier() {
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (carrier->retired.load(std::memory_order_relaxed) &&
        carrier->retired.exchange(false, std::memory_order_acquire)) {  // pairs with retire()
      return carrier;
    }
  }
  return nullptr;
}

}  // namespace

Carrier& attach() {
  if (Fiber* self = current()) {
    return *self->carrier;
  }
  Carrier* carrier = reuse_carrier();
  bool is_new = carrier == nullptr;
  if (is_new) {
    carrier = new (map_stack(sizeof(Carrier))) Carrier;
    make_loop(*carrier);
  }
  take_thread(*carrier);
  awake_carriers.fetch_add(1, std::memory_order_relaxed);
  become_current(&carrier->thread);
  if (is_new) {
    carrier->next_carrier = all_carriers.load(std::memory_order_relaxed);
    while (!all_carriers.compare_exchange_weak(carrier->next_carrier, carrier,
                                               std::memory_order_release,  // pairs with carriers()
                                               std::memory_order_relaxed)) {
    }
  }
  return *carrier;
}

void retire() {
  Carrier& carrier = *current()->carrier;
  awake_carriers.fetch_sub(1, std::memory_order_relaxed);
  become_current(nullptr);
  if (carrier.light_fibers == 0) {
    carrier.retired.store(true, std::memory_order_release);  // pairs with reuse_carrier()
  }
}

void make_ready(Fiber& fiber) {
  Carrier& home = *fiber.carrier;
  Fiber* self = current();
  if (self != nullptr && self->carrier == &home) {
    home.queue.push(&fiber);
  } else {
    home.inbox.push(&fiber);
    wake(home);
  }
}

void set_poller(const Poller* wanted) {
  poller.store(wanted, std::memory_order_release);  // pairs with sleep(), look_at_events()
}

void exit_current(Commit last) {
  Fiber& self = *current();
  self.runtime_depth.store(1, std::memory_order_relaxed);
  self.reason = {WaitKind::exited, 0};
  Carrier& carrier = *self.carrier;
  carrier.light_fibers -= self.kind == FiberKind::light ? 1 : 0;
  carrier.commit = last;
  auto run_last = [](Carrier& left_by, Fiber&) {
    if (left_by.commit.function != nullptr) {
      left_by.commit.function(left_by.commit.argument);
    }
  };
  switch_to_for_ever(carrier, self, next_to_run(carrier), run_last);
}

Carrier* carriers() { return all_carriers.load(std::memory_order_acquire); }

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
  carrier.queue.clear();
  carrier.inbox.clear();
  carrier.timers.reset();
  carrier.sleeping.store(kAwake, std::memory_order_relaxed);
  carrier.loop.signal_pending.store(false, std::memory_order_relaxed);
  carrier.switches_left = Carrier::kSwitchesPerTurn;
  carrier.next_carrier = nullptr;
  carrier.kernel_tid = sys::gettid();
  all_carriers.store(&carrier, std::memory_order_relaxed);
  awake_carriers.store(1, std::memory_order_relaxed);
  outside_work.store(0, std::memory_order_relaxed);
  polling.store(false, std::memory_order_relaxed);
  poller.store(nullptr, std::memory_order_relaxed);
}

void detach_after_fork() {
  all_carriers.store(nullptr, std::memory_order_relaxed);
  awake_carriers.store(0, std::memory_order_relaxed);
  become_current(nullptr);
}

}  // namespace ramie::core

// Threads of the program become carriers here, and cease to be ones.
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>

#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/bare_tcb.h"
#include "core/cpu_clock.h"
#include "core/crew.h"
#include "core/exceptions.h"
#include "core/loop.h"
#include "core/poller.h"
#include "core/scheduler.h"
#include "core/switch.h"

namespace ramie::core {

namespace {

constexpr size_t kLoopStack = 64UL * 1024;

constinit std::atomic<Carrier*> all_carriers = nullptr;
constinit std::atomic<Carrier*> crew_members = nullptr;
constinit base::Lock striking_off;

// For a thread that attaches itself: it can't go on without.
char* map(size_t size) {
  long memory = sys::call(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  RAMIE_CHECK(!sys::failed(memory));
  return reinterpret_cast<char*>(memory);
}

// A loop with a stack of its own, for a carrier whose kernel thread has another.
void make_loop(Carrier& carrier) {
  name_loop(carrier);
  Fiber& loop = carrier.loop;
  loop.stack = {map(kLoopStack), kLoopStack};
  loop.entry = run_loop;
  loop.context = make_context(loop.stack.top(), loop.stack.size, fiber_main);
  loop.sanitizer.create(loop.stack.base, loop.stack.size);
}

// What a carrier has of the kernel thread that it is.
void take_thread(Carrier& carrier) {
  carrier.cpu.own_fs = tls::self();
  carrier.cpu.current_fs = carrier.cpu.own_fs;
  carrier.shared.errno_address = &errno;
  void** exceptions = exceptions_of_tcb();
  carrier.shared.exceptions = exceptions != nullptr ? exceptions : carrier.no_exceptions;
  carrier.kernel_tid = sys::gettid();
  carrier.now = base::now();
  carrier.current.store(&carrier.thread, std::memory_order_relaxed);
  carrier.thread.kind = FiberKind::thread;
  carrier.thread.carrier = &carrier;
  carrier.thread.shares_tcb = true;
  carrier.wait_of_thread.tcb = &carrier.shared;
  carrier.thread.home.store(&carrier, std::memory_order_relaxed);
  carrier.thread.fs_base = carrier.cpu.own_fs;
  carrier.thread.runtime_depth.store(0, std::memory_order_relaxed);
  carrier.thread.sanitizer.adopt_thread();
  carrier.loop.fs_base = carrier.cpu.own_fs;
  begin_cpu_account(carrier);
  carrier.gone.store(false,
                     std::memory_order_release);  // its thread's id is there, see watchdog.cc
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
    carrier = new (map(sizeof(Carrier))) Carrier;
    make_loop(*carrier);
  }
  take_thread(*carrier);
  carrier_woke_up(Part::of_crew);
  crew.active.fetch_add(1, std::memory_order_relaxed);
  become_current(&carrier->thread);
  if (is_new) {
    publish(*carrier);
    enlist(*carrier);
  }
  return *carrier;
}

bool free_thread_fiber(Carrier& carrier) {
  uintptr_t fs = make_bare_tcb();
  if (fs == 0) {
    return false;
  }
  set_first(fs, &carrier.loop);
  carrier.loop.fs_base = fs;
  carrier.thread.home.store(nullptr, std::memory_order_relaxed);
  return true;
}

void retire() {
  Carrier& carrier = *current()->carrier;
  bool has_ready = !carrier.ready.empty();
  {
    RuntimeSection section(*current());
    carrier.stacks.give_all_back();
    carrier.blocks.give_all_back();
    if (carrier.ring != nullptr) {
      carrier.ring->close(*carrier.ring, carrier);
    }
    crew.shared.push_all(carrier.ready);
  }
  keep_as_usual();
  carrier.gone.store(true, std::memory_order_release);  // before it is counted out
  forget_slice(carrier);
  carrier_fell_asleep(Part::of_crew);
  crew.active.fetch_sub(1, std::memory_order_relaxed);
  become_current(nullptr);
  if (has_ready) {
    call_help();
  }
  if (!is_event_watched()) {
    hand_over_polling(carrier);
  }
  if (carrier.light_fibers.load(std::memory_order_relaxed) == 0) {
    carrier.retired.store(true, std::memory_order_release);  // pairs with reuse_carrier()
  }
}

void publish(Carrier& carrier) {
  Carrier* first = all_carriers.load(std::memory_order_relaxed);
  do {
    carrier.next_carrier = first;
  } while (!all_carriers.compare_exchange_weak(first, &carrier,
                                               std::memory_order_release,  // pairs with carriers()
                                               std::memory_order_relaxed));
}

void enlist(Carrier& carrier) {
  Carrier* first = crew_members.load(std::memory_order_relaxed);
  do {
    carrier.next_in_crew.store(first, std::memory_order_release);  // who stands on it goes there
  } while (!crew_members.compare_exchange_weak(
      first, &carrier,
      std::memory_order_release,  // pairs with carriers_of_crew()
      std::memory_order_relaxed));
}

void strike_off(Carrier& carrier) {
  base::LockGuard guard(striking_off);  // so that nobody else changes a link but the first one
  Carrier* next = carrier.next_in_crew.load(std::memory_order_relaxed);
  Carrier* before = &carrier;
  if (crew_members.compare_exchange_strong(before, next, std::memory_order_release,
                                           std::memory_order_acquire)) {
    return;
  }
  while (Carrier* behind = before->next_in_crew.load(std::memory_order_acquire)) {
    if (behind == &carrier) {
      before->next_in_crew.store(next, std::memory_order_release);
      return;
    }
    before = behind;
  }
}

Carrier* carriers() { return all_carriers.load(std::memory_order_acquire); }

Carrier* carriers_of_crew() { return crew_members.load(std::memory_order_acquire); }

void reset_carriers_after_fork(Carrier* only) {
  striking_off.reset();
  if (only != nullptr) {
    only->next_carrier = nullptr;
    only->next_in_crew.store(nullptr, std::memory_order_relaxed);
  }
  crew_members.store(only, std::memory_order_relaxed);
  all_carriers.store(only, std::memory_order_relaxed);
}

}  // namespace ramie::core

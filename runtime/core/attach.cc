// Carriers begin and end here: a thread of the program that attaches itself, or a bare kernel
// thread of Ramie's own.
#include <sys/mman.h>

#include <cerrno>
#include <cstddef>
#include <new>

#include "base/check.h"
#include "base/sys.h"
#include "core/bare_tcb.h"
#include "core/crew.h"
#include "core/exceptions.h"
#include "core/kernel_thread.h"
#include "core/loop.h"
#include "core/scheduler.h"
#include "core/switch.h"

namespace ramie::core {

namespace {

constexpr size_t kLoopStack = 64UL * 1024;

constinit std::atomic<Carrier*> all_carriers = nullptr;

// Null when memory is exhausted.
char* map(size_t size) {
  long memory = sys::call(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return sys::failed(memory) ? nullptr : reinterpret_cast<char*>(memory);
}

void unmap(void* memory, size_t size) {
  (void)sys::call(SYS_munmap, sys::arg(memory), static_cast<long>(size));
}

// For a thread that attaches itself: it can't go on without.
char* map_surely(size_t size) {
  char* memory = map(size);
  RAMIE_CHECK(memory != nullptr);
  return memory;
}

Fiber& name_loop(Carrier& carrier) {
  carrier.loop.kind = FiberKind::loop;
  carrier.loop.carrier = &carrier;
  carrier.loop.home.store(&carrier, std::memory_order_relaxed);
  return carrier.loop;
}

// A loop with a stack of its own, for a carrier whose kernel thread has another.
void make_loop(Carrier& carrier) {
  Fiber& loop = name_loop(carrier);
  loop.stack = {map_surely(kLoopStack), kLoopStack};
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
  carrier.thread.shared = &carrier.shared;
  carrier.thread.home.store(&carrier, std::memory_order_relaxed);
  carrier.thread.fs_base = carrier.cpu.own_fs;
  carrier.thread.runtime_depth.store(0, std::memory_order_relaxed);
  carrier.thread.sanitizer.adopt_thread();
  carrier.loop.fs_base = carrier.cpu.own_fs;
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

void publish(Carrier& carrier) {
  carrier.next_carrier = all_carriers.load(std::memory_order_relaxed);
  while (!all_carriers.compare_exchange_weak(carrier.next_carrier, &carrier,
                                             std::memory_order_release,  // pairs with carriers()
                                             std::memory_order_relaxed)) {
  }
}

// A carrier with the kernel thread on which it lives from birth: nothing but its loop ever runs on
// that one's own stack and TCB.
struct BareCarrier {
  KernelThread thread;
  Carrier carrier;
};

// Its kernel thread ends.  What it was started for is left to those that there are.
void give_up(Carrier& carrier) {
  carrier.gone.store(true, std::memory_order_release);  // before it is counted out
  start_no_more_carriers();
  crew.searching.fetch_sub(1, std::memory_order_seq_cst);
  crew.active.fetch_sub(1, std::memory_order_relaxed);
  carrier_fell_asleep();
}

void run_bare_carrier(KernelThread& thread) {
  auto& bare = reinterpret_cast<BareCarrier&>(thread);
  static_assert(offsetof(BareCarrier, thread) == 0);
  Carrier& carrier = bare.carrier;
  RAMIE_CHECK(fault::start_thread(carrier.fault) == 0);
  RAMIE_CHECK(tls::start_thread(carrier.cpu) == 0);
  carrier.is_bare = true;
  carrier.searching = true;
  carrier.kernel_tid = sys::gettid();
  carrier.kernel_mask = fault::blockable(~uint64_t{0});
  carrier.now = base::now();
  carrier.current.store(&carrier.loop, std::memory_order_relaxed);
  carrier.loop.fs_base = carrier.cpu.own_fs;
  become_current(&carrier.loop);
  publish(carrier);
  if (signal_hooks().begin != nullptr && !signal_hooks().begin(carrier)) {
    give_up(carrier);
    return;
  }
  run_loop(carrier.loop);
}

}  // namespace

Carrier& attach() {
  if (Fiber* self = current()) {
    return *self->carrier;
  }
  Carrier* carrier = reuse_carrier();
  bool is_new = carrier == nullptr;
  if (is_new) {
    carrier = new (map_surely(sizeof(Carrier))) Carrier;
    make_loop(*carrier);
  }
  take_thread(*carrier);
  carrier_woke_up();
  crew.active.fetch_add(1, std::memory_order_relaxed);
  become_current(&carrier->thread);
  if (is_new) {
    publish(*carrier);
  }
  return *carrier;
}

bool free_thread_fiber(Carrier& carrier) {
  uintptr_t fs = make_bare_tcb();
  if (fs == 0) {
    return false;
  }
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
    crew.shared.push_all(carrier.ready);
  }
  carrier.gone.store(true, std::memory_order_release);  // before it is counted out
  carrier_fell_asleep();
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

bool start_carrier() {
  uintptr_t fs = make_bare_tcb();
  char* memory = fs != 0 ? map(sizeof(BareCarrier)) : nullptr;
  if (memory != nullptr) {
    auto* made = new (memory) BareCarrier;
    (void)name_loop(made->carrier);
    made->thread.stack_size = kLoopStack;
    made->thread.fs_base = fs;
    made->thread.run = run_bare_carrier;
    carrier_woke_up();
    if (start_kernel_thread(made->thread) == 0) {
      return true;
    }
    carrier_fell_asleep();
    if (made->thread.stack != nullptr) {
      unmap(made->thread.stack, made->thread.stack_size);
    }
    unmap(memory, sizeof(BareCarrier));
  }
  if (fs != 0) {
    free_bare_tcb(fs);
  }
  return false;
}

Carrier* carriers() { return all_carriers.load(std::memory_order_acquire); }

void reset_carriers_after_fork(Carrier* only) {
  if (only != nullptr) {
    only->next_carrier = nullptr;
  }
  all_carriers.store(only, std::memory_order_relaxed);
}

}  // namespace ramie::core

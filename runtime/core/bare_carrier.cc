#include "core/bare_carrier.h"

#include <signal.h>
#include <sys/mman.h>

#include <cstddef>
#include <new>

#include "base/lock.h"
#include "base/sys.h"
#include "core/apart.h"
#include "core/bare_tcb.h"
#include "core/crew.h"
#include "core/kernel_mask.h"
#include "core/loop.h"
#include "core/scheduler.h"
#include "core/watchdog.h"

namespace ramie::core {
namespace {

constexpr size_t kLoopStack = 64UL * 1024;

static_assert(offsetof(BareCarrier, thread) == 0);

constinit base::Lock choosing;
constinit BareCarrier* free_ones RAMIE_GUARDED_BY(choosing) = nullptr;

// One whose kernel thread has ended.  Those of the crew and those apart don't change places, since
// the crew's have a list of their own.
BareCarrier* reuse(Role role, void (*run)(KernelThread& thread)) {
  base::LockGuard guard(choosing);
  for (BareCarrier** place = &free_ones; *place != nullptr; place = &(*place)->next_free) {
    BareCarrier& bare = **place;
    // Acquire: the kernel clears it when the stack is left.
    if (bare.thread.run == run && bare.thread.tid.load(std::memory_order_acquire) == 0) {
      *place = bare.next_free;
      bare.carrier.role.store(role, std::memory_order_relaxed);
      bare.carrier.credentials.store(0, std::memory_order_relaxed);
      bare.carrier.cpu_account.charged.store(nullptr, std::memory_order_relaxed);
      bare.carrier.cpu_account.since.store(0, std::memory_order_relaxed);
      return &bare;
    }
  }
  return nullptr;
}

BareCarrier* make(Role role, void (*run)(KernelThread& thread)) {
  uintptr_t fs = make_bare_tcb();
  if (fs == 0) {
    return nullptr;
  }
  long memory =
      sys::call(SYS_mmap, 0, static_cast<long>(sizeof(BareCarrier)), PROT_READ | PROT_WRITE,
                MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (sys::failed(memory)) {
    free_bare_tcb(fs);
    return nullptr;
  }
  auto* made = new (reinterpret_cast<void*>(memory)) BareCarrier;
  name_loop(made->carrier);
  made->carrier.is_bare = true;
  made->carrier.role.store(role, std::memory_order_relaxed);
  made->thread.stack_size = kLoopStack;
  made->thread.fs_base = fs;
  made->thread.run = run;
  return made;
}

void discard(BareCarrier& bare) {
  free_bare_tcb(bare.thread.fs_base);
  if (bare.thread.stack != nullptr) {
    (void)sys::call(SYS_munmap, sys::arg(bare.thread.stack),
                    static_cast<long>(bare.thread.stack_size));
  }
  (void)sys::call(SYS_munmap, sys::arg(&bare), sizeof bare);
}

// Its kernel thread ends.  What it was started for is left to those that there are.
void give_up(Carrier& carrier) {
  carrier.gone.store(true, std::memory_order_release);  // before it is counted out
  forget_slice(carrier);
  start_no_more_carriers();
  crew.searching.fetch_sub(1, std::memory_order_seq_cst);
  crew.active.fetch_sub(1, std::memory_order_relaxed);
  carrier_fell_asleep(Part::of_crew);
}

// It has stood by for long enough, and is counted out already.
void leave(Carrier& carrier) {
  // What somebody gets for a signal that was put off goes to the crew.
  carrier.role.store(Role::ending, std::memory_order_relaxed);
  carrier.ready.close();
  stop_taking_signals(carrier);
  strike_off(carrier);
  end_bare_carrier(carrier);
  free_bare_carrier(carrier);
}

void run_member_of_crew(KernelThread& thread) {
  Carrier& carrier = bare_carrier_of(thread).carrier;
  carrier.ready.open();
  carrier.has_submitted = false;
  carrier.sleeping.store(kAwake, std::memory_order_relaxed);
  carrier.searching = true;
  if (begin_bare_carrier(carrier)) {
    run_loop(carrier.loop);
    leave(carrier);
  } else {
    give_up(carrier);
  }
}

}  // namespace

void name_loop(Carrier& carrier) {
  carrier.loop.kind = FiberKind::loop;
  carrier.loop.carrier = &carrier;
  carrier.loop.home.store(&carrier, std::memory_order_relaxed);
}

BareCarrier* get_bare_carrier(Role role, void (*run)(KernelThread& thread)) {
  BareCarrier* bare = reuse(role, run);
  return bare != nullptr ? bare : make(role, run);
}

void give_back_bare_carrier(BareCarrier& bare) {
  if (bare.is_published) {
    free_bare_carrier(bare.carrier);
  } else {
    discard(bare);
  }
}

BareCarrier& bare_carrier_with(Carrier& carrier) {
  return *reinterpret_cast<BareCarrier*>(reinterpret_cast<char*>(&carrier) -
                                         offsetof(BareCarrier, carrier));
}

bool begin_bare_carrier(Carrier& carrier) {
  // First of all: start_thread() lets SIGSEGV in, and one that is sent to the process may come
  // here.
  carrier.loop.fs_base = tls::self();
  carrier.current.store(&carrier.loop, std::memory_order_relaxed);
  become_current(&carrier.loop);
  // There may be no memory for its signal stack, or no slot for its FS base.
  bool has_all = fault::start_thread(carrier.fault) == 0 && tls::start_thread(carrier.cpu) == 0;
  BareCarrier& bare = bare_carrier_with(carrier);
  // Who has started it may read it already (start_apart()).
  if (int tid = sys::gettid(); carrier.kernel_tid != tid) {
    carrier.kernel_tid = tid;
  }
  carrier.kernel_mask = fault::blockable(~uint64_t{0});
  carrier.now = base::now();
  carrier.loop.sanitizer.adopt_thread();
  // The thread's id is there.  Sequentially consistent: who changes something for all carriers
  // sees it, or is seen by the hook.
  carrier.gone.store(false, std::memory_order_seq_cst);
  if (!bare.is_published) {
    bare.is_published = true;
    publish(carrier);
  }
  if (carrier.role.load(std::memory_order_relaxed) == Role::crew) {
    enlist(carrier);
  }
  return has_all && (signal_hooks().begin == nullptr || signal_hooks().begin(carrier));
}

void stop_taking_signals(Carrier& carrier) {
  (void)block_in_kernel(carrier, fault::blockable(~uint64_t{0}));
  if (carrier.loop.signal_pending.exchange(false, std::memory_order_relaxed)) {
    signal_hooks().hand_out(carrier);
  }
}

void end_bare_carrier(Carrier& carrier) {
  carrier.gone.store(true, std::memory_order_release);
  forget_slice(carrier);
  tls::stop_thread(carrier.cpu);
  fault::rest_thread(carrier.fault);  // there may be no memory for the next one
}

void free_bare_carrier(Carrier& carrier) {
  // Of fibers that have slept here, and then moved.
  bool leaves_timers = !carrier.timers.next().is_never();
  carrier.role.store(Role::ended, std::memory_order_release);
  {
    BareCarrier& bare = bare_carrier_with(carrier);
    base::LockGuard guard(choosing);
    bare.next_free = free_ones;
    free_ones = &bare;
  }
  if (leaves_timers) {
    leave_timers_to_watchdog();
  }
}

bool start_carrier() {
  BareCarrier* bare = get_bare_carrier(Role::crew, run_member_of_crew);
  if (bare == nullptr) {
    return false;
  }
  carrier_woke_up(Part::of_crew);
  if (start_thread_of_crew(bare->thread) == 0) {
    return true;
  }
  carrier_fell_asleep(Part::of_crew);
  give_back_bare_carrier(*bare);
  return false;
}

void reset_bare_carriers_after_fork() {
  choosing.reset();
  base::LockGuard guard(choosing);
  free_ones = nullptr;
}

}  // namespace ramie::core

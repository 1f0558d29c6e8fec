#include "core/bare_carrier.h"

#include <sys/mman.h>

#include <cstddef>
#include <new>

#include "base/check.h"
#include "base/sys.h"
#include "core/apart.h"
#include "core/bare_tcb.h"
#include "core/crew.h"
#include "core/loop.h"
#include "core/scheduler.h"

namespace ramie::core {
namespace {

constexpr size_t kLoopStack = 64UL * 1024;

static_assert(offsetof(BareCarrier, thread) == 0);

// Its kernel thread ends.  What it was started for is left to those that there are.
void give_up(Carrier& carrier) {
  carrier.gone.store(true, std::memory_order_release);  // before it is counted out
  start_no_more_carriers();
  crew.searching.fetch_sub(1, std::memory_order_seq_cst);
  crew.active.fetch_sub(1, std::memory_order_relaxed);
  carrier_fell_asleep();
}

void run_member_of_crew(KernelThread& thread) {
  Carrier& carrier = bare_carrier_of(thread).carrier;
  carrier.searching = true;
  if (begin_bare_carrier(carrier)) {
    run_loop(carrier.loop);
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

BareCarrier* make_bare_carrier(void (*run)(KernelThread& thread)) {
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
  made->thread.stack_size = kLoopStack;
  made->thread.fs_base = fs;
  made->thread.run = run;
  return made;
}

void discard_bare_carrier(BareCarrier& bare) {
  free_bare_tcb(bare.thread.fs_base);
  if (bare.thread.stack != nullptr) {
    (void)sys::call(SYS_munmap, sys::arg(bare.thread.stack),
                    static_cast<long>(bare.thread.stack_size));
  }
  (void)sys::call(SYS_munmap, sys::arg(&bare), sizeof bare);
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
  RAMIE_CHECK(fault::start_thread(carrier.fault) == 0);
  RAMIE_CHECK(tls::start_thread(carrier.cpu) == 0);
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
  return signal_hooks().begin == nullptr || signal_hooks().begin(carrier);
}

void end_bare_carrier(Carrier& carrier) {
  carrier.gone.store(true, std::memory_order_release);
  tls::stop_thread(carrier.cpu);
  fault::stop_thread(carrier.fault);
}

bool start_carrier() {
  BareCarrier* made = make_bare_carrier(run_member_of_crew);
  if (made == nullptr) {
    return false;
  }
  carrier_woke_up();
  if (start_thread_of_crew(made->thread) == 0) {
    return true;
  }
  carrier_fell_asleep();
  discard_bare_carrier(*made);
  return false;
}

}  // namespace ramie::core

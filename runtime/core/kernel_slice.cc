#include "core/kernel_slice.h"

#include <sched.h>

#include "base/lock.h"
#include "base/sched_attr.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/crew.h"
#include "core/loop.h"

namespace ramie::core {
namespace {

constexpr uint64_t kShort = 300'000;  // ns; the kernel's least is 0.1 ms

struct SchedAttr : base::SchedAttr {
  [[nodiscard]] bool get(int tid) {
    return sys::call(SYS_sched_getattr, tid, sys::arg(this), sizeof *this, 0) == 0;
  }
  // The policy aside: if somebody has chosen another one since get(), it stays, and this fails.
  [[nodiscard]] bool set(int tid) {
    constexpr uint64_t kKeepPolicy = 8;  // SCHED_FLAG_KEEP_POLICY
    flags = kKeepPolicy;
    return sys::call(SYS_sched_setattr, tid, sys::arg(this), 0) == 0;
  }
  [[nodiscard]] bool is_plain() const { return policy == SCHED_OTHER && flags == 0; }
};

// The slice of a thread for which nobody has set one; 0 where there is no such thing, or somebody
// has, or where nobody is to have another one.
constexpr uint64_t kUnknown = ~uint64_t{0};

constinit base::Lock changing;
constinit uint64_t usual RAMIE_GUARDED_BY(changing) = kUnknown;

// Asked on the watchdog's kernel thread, of which no other inherits meanwhile.
uint64_t find_usual() {
  SchedAttr found;
  if (is_filtered() || !found.get(0) || !found.is_plain() || found.runtime == 0) {
    return 0;
  }
  SchedAttr reset = found;
  reset.runtime = 0;
  if (!reset.set(0) || !reset.get(0)) {
    return 0;
  }
  if (reset.runtime != found.runtime) {
    (void)found.set(0);  // whoever has started the program chose it
    return 0;
  }
  return found.runtime;
}

// Zero is the usual one.  Not where somebody else has changed it meanwhile, or may punish the call.
bool change(const Carrier& carrier, uint64_t from, uint64_t to) {
  SchedAttr attributes;
  if (is_filtered() || !attributes.get(carrier.kernel_tid) || !attributes.is_plain() ||
      attributes.runtime != from) {
    return false;
  }
  attributes.runtime = to;
  return attributes.set(carrier.kernel_tid);
}

// With the lock held the id of a kernel thread is not another one's: see forget_slice().
bool is_there(const Carrier& carrier) RAMIE_REQUIRES(changing) {
  return !carrier.gone.load(std::memory_order_relaxed);
}

bool is_kept(const Carrier& carrier) RAMIE_REQUIRES(changing) {
  return carrier.slice.as_usual > 0 ||
         carrier.slice.usual_until == carrier.switches.load(std::memory_order_relaxed) + 1;
}

void make_usual(Carrier& carrier) RAMIE_REQUIRES(changing) {
  if (carrier.slice.is_short && is_there(carrier)) {
    // Else it is short no more because somebody has set another one.
    carrier.slice.is_short = !change(carrier, kShort, 0) && is_filtered();
  }
}

void make_short(Carrier& carrier) RAMIE_REQUIRES(changing) {
  if (usual == kUnknown) {
    usual = find_usual();
  }
  if (usual <= kShort || carrier.slice.is_short || !is_there(carrier) || is_kept(carrier)) {
    return;
  }
  carrier.slice.is_short = change(carrier, usual, kShort);
  if (!carrier.slice.is_short) {
    usual = 0;  // not to be tried again and again
  }
}

// System calls only if that is a change.
void set_slice(Carrier& carrier, bool is_short) {
  base::LockGuard guard(changing);
  if (is_short && carrier.role.load(std::memory_order_relaxed) == Role::crew) {
    make_short(carrier);
  } else {
    make_usual(carrier);
  }
}

// How many more looks find those that aren't stuck with short slices; the watchdog's own.
constinit int ticks_to_usual = 0;

void set_all() {
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    set_slice(*carrier, ticks_to_usual > 0 && !carrier->watched.is_stuck);
  }
}

}  // namespace

// A section while the lock is held, for a handler could come back for it.
AsUsual::AsUsual() : carrier_(nullptr) {
  if (Fiber* self = current()) {
    RuntimeSection section(*self);
    carrier_ = self->carrier;
    base::LockGuard guard(changing);
    ++carrier_->slice.as_usual;
    make_usual(*carrier_);
  }
}

AsUsual::AsUsual(Carrier& carrier) : carrier_(&carrier) {
  base::LockGuard guard(changing);
  ++carrier.slice.as_usual;
  make_usual(carrier);
}

AsUsual::~AsUsual() {
  if (carrier_ == nullptr) {
    return;
  }
  if (Fiber* self = current()) {
    RuntimeSection section(*self);
    base::LockGuard guard(changing);
    --carrier_->slice.as_usual;
    return;
  }
  base::LockGuard guard(changing);
  --carrier_->slice.as_usual;
}

void keep_as_usual() {
  if (Fiber* self = current()) {
    RuntimeSection section(*self);
    base::LockGuard guard(changing);
    Carrier& carrier = *self->carrier;
    carrier.slice.usual_until = carrier.switches.load(std::memory_order_relaxed) + 1;
    make_usual(carrier);
  }
}

void set_slices_of_crew(bool is_some_stuck) {
  constexpr int kTicksOfShort = 64;
  if (is_some_stuck) {
    ticks_to_usual = kTicksOfShort;
  } else if (ticks_to_usual == 0) {
    return;
  } else {
    --ticks_to_usual;
  }
  set_all();
}

void make_slices_usual() {
  if (ticks_to_usual != 0) {
    ticks_to_usual = 0;
    set_all();
  }
}

void give_slices_up() {
  base::LockGuard guard(changing);
  usual = 0;
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr; carrier = carrier->next_in_crew) {
    make_usual(*carrier);
  }
}

void try_slices_again() {
  base::LockGuard guard(changing);
  usual = kUnknown;
}

void change_for_a_moment(Carrier& carrier, void (*change)(Carrier& carrier, void* argument),
                         void* argument) {
  base::LockGuard guard(changing);
  if (is_there(carrier) && !is_kept(carrier) &&
      carrier.role.load(std::memory_order_relaxed) == Role::crew) {
    change(carrier, argument);
  }
}

void forget_slice(Carrier& carrier) {
  base::LockGuard guard(changing);
  carrier.slice.is_short = false;
  carrier.slice.usual_until = 0;
}

void reset_slices_after_fork() {
  changing.reset();
  ticks_to_usual = 0;
}

}  // namespace ramie::core

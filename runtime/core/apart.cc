#include "core/apart.h"

#include "base/futex.h"
#include "core/bare_carrier.h"
#include "core/crew.h"
#include "core/errand.h"
#include "core/loop.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "core/tls_choice.h"
#include "core/watchdog.h"

namespace ramie::core {
namespace {

enum Begun : uint32_t { kNotYet, kServes, kRefused };

constinit std::atomic<uint32_t> number = 0;  // of bare ones

// Whether the kernel thread can be bound only once it has begun.
bool must_await(Heir heir) {
#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
  return true;  // its id isn't known before
#endif
  return heir == Heir::of_crew || tls::is_filtered_by_program() ||
         (signal_hooks().may_refuse != nullptr && signal_hooks().may_refuse());
}

void run(KernelThread& thread) {
  BareCarrier& bare = bare_carrier_of(thread);
  Carrier& carrier = bare.carrier;
  carrier.has_submitted = false;
  bool serves = begin_bare_carrier(carrier);
  bare.begun.store(serves ? kServes : kRefused, std::memory_order_release);
  base::futex_wake(bare.begun, 1);
  if (serves) {
    run_loop(carrier.loop);
    stop_taking_signals(carrier);
  }
  end_bare_carrier(carrier);
  number.fetch_sub(1, std::memory_order_relaxed);
  carrier_fell_asleep(Part::apart);
  free_bare_carrier(carrier);
}

// Until there may be something to run, in the order of crew.h: says that it sleeps, then looks.
void sleep(Carrier& carrier) {
  Part part = carrier.is_bare ? Part::apart : Part::of_crew;
  carrier.sleeping.store(kApart, std::memory_order_seq_cst);
  carrier_fell_asleep(part);
  OpenToSignals open(carrier, false);
  if (carrier.inbox.empty() && carrier.pinned.empty() &&
      carrier.role.load(std::memory_order_seq_cst) == Role::apart &&
      !carrier.loop.signal_pending.load(std::memory_order_relaxed)) {
    if (are_events_missed()) {
      call_help_on_suspicion();
    }
    base::Deadline until = carrier.timers.next();
    report_standstill();
    if (carrier.ring != nullptr) {
      carrier.ring->wait(*carrier.ring, carrier, until, nullptr);
    } else {
      base::futex_wait(carrier.sleeping, kApart, until);
      tls::refresh(carrier.cpu);
    }
  }
  carrier_woke_up(part);
  carrier.sleeping.exchange(kAwake, std::memory_order_acq_rel);
}

}  // namespace

Carrier* start_apart(Heir heir) {
  if (number.fetch_add(1, std::memory_order_relaxed) >= kMaxApart) {
    number.fetch_sub(1, std::memory_order_relaxed);
    return nullptr;
  }
  BareCarrier* bare = get_bare_carrier(Role::apart, run);
  int result = -1;
  if (bare != nullptr) {
    bare->begun.store(kNotYet, std::memory_order_relaxed);
    bare->carrier.ready.close();
    if (heir == Heir::of_caller) {  // what its kernel thread has taken on, or never will
      bare->carrier.credentials.store(
          current()->carrier->credentials.load(std::memory_order_relaxed),
          std::memory_order_relaxed);
    }
    carrier_woke_up(Part::apart);
    result = heir == Heir::of_caller ? start_kernel_thread(bare->thread)
                                     : start_thread_of_crew(bare->thread);
  }
  if (result < 0) {
    number.fetch_sub(1, std::memory_order_relaxed);
    if (bare != nullptr) {
      carrier_fell_asleep(Part::apart);
      give_back_bare_carrier(*bare);
    }
    return nullptr;
  }
  if (!must_await(heir)) {
    bare->carrier.kernel_tid = static_cast<int>(bare->thread.tid.load(std::memory_order_relaxed));
    return &bare->carrier;
  }
  while (bare->begun.load(std::memory_order_acquire) == kNotYet) {
    base::futex_wait(bare->begun, kNotYet);
  }
  return bare->begun.load(std::memory_order_relaxed) == kServes ? &bare->carrier : nullptr;
}

void end_apart(Carrier& carrier) {
  carrier.role.store(Role::ending, std::memory_order_seq_cst);  // as an inbox's push()
  wake(carrier);
}

void go_home() {
  Fiber& self = *current();
  Carrier* home = self.home.load(std::memory_order_relaxed);
  while (home != nullptr && self.carrier != home) {
    yield();  // it is put back at home
  }
}

void leave_home() {
  Fiber& self = *current();
  Carrier& home = *self.carrier;
  self.home.store(nullptr, std::memory_order_relaxed);
  end_apart(home);
  while (self.carrier == &home) {
    yield();
  }
}

void leave_alone(const Carrier& leaving) {
  Fiber& self = *current();
  while (self.carrier == &leaving && self.home.load(std::memory_order_relaxed) != &leaving &&
         leaving.role.load(std::memory_order_relaxed) != Role::crew) {
    self.carrier->turn_ends.store(0, std::memory_order_relaxed);  // the loop's turn
    yield();
  }
}

bool leave_crew(Carrier& carrier) {
  end_search(carrier, false);
  crew.active.fetch_sub(1, std::memory_order_relaxed);
  carrier.role.store(Role::apart, std::memory_order_relaxed);
  carrier.ready.close();
  carrier.turns = {};
  crew.shared.push_all(carrier.ready);
  call_help();
  if (crew.active.load(std::memory_order_relaxed) == 0) {
    join_crew(carrier);
    return false;
  }
  return true;
}

void join_crew(Carrier& carrier) {
  crew.active.fetch_add(1, std::memory_order_relaxed);
  carrier.ready.open();
  carrier.role.store(Role::crew, std::memory_order_relaxed);
}

Carrier* home_apart(const Fiber& fiber) {
  Carrier* home = fiber.home.load(std::memory_order_relaxed);
  return home == nullptr || home->role.load(std::memory_order_relaxed) == Role::crew ? nullptr
                                                                                     : home;
}

int tid_in_crew() {
  const Fiber* self = current();
  if (self != nullptr && self->carrier->role.load(std::memory_order_relaxed) == Role::crew) {
    return 0;
  }
  return watchdog_tid();
}

int start_thread_of_crew(KernelThread& thread) {
  const Fiber* self = current();
  return self != nullptr && self->carrier->role.load(std::memory_order_relaxed) == Role::crew
             ? start_kernel_thread(thread)
             : start_by_watchdog(thread);
}

bool take_turn_apart(Carrier& carrier) {
  Role role = carrier.role.load(std::memory_order_seq_cst);
  if (role == Role::leaving) {
    (void)leave_crew(carrier);
  } else if (carrier.has_ready()) {
    look_at_ring(carrier);
  } else if (!serve_idler(carrier)) {
    if (role == Role::ending && carrier.inbox.empty()) {
      return false;
    }
    sleep(carrier);
  }
  return true;
}

void reset_apart_after_fork() { number.store(0, std::memory_order_relaxed); }

}  // namespace ramie::core

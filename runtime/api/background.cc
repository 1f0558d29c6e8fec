// What a thread's fibers have still to do, and who doesn't count: sleepers in the background, and
// those that wait for the rest themselves (Carrier::aside).
//
// A fiber that ends or steps aside looks whether somebody waits for the rest, after it was counted
// out; one who waits says so before the count is read, under the parking lot's lock.  Both are
// sequentially consistent, so one of the two sees the other.
#include <ramie/detail/abi.h>

#include "api/interruptible.h"
#include "api/rest.h"
#include "base/deadline.h"
#include "core/carrier.h"
#include "core/light_home.h"
#include "core/park.h"
#include "core/scheduler.h"
#include "core/workers.h"
#include "sync/parking_lot.h"

namespace ramie::detail {
namespace {

uint32_t rest_of(const core::Carrier& carrier) {
  uint32_t aside = carrier.aside.load(std::memory_order_seq_cst);
  uint32_t all = carrier.light_fibers.load(std::memory_order_seq_cst);
  return all > aside ? all - aside : 0;
}

// While one lives, the running fiber is not one of the rest.
class Aside {
 public:
  explicit Aside(core::Fiber& self) : carrier_(*self.carrier), self_(self) { count(1); }
  ~Aside() { count(-1); }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  void count(int change) {
    if (self_.kind != core::FiberKind::light) {
      return;
    }
    if (self_.of_workers) {
      core::workers_aside.fetch_add(static_cast<uint64_t>(change), std::memory_order_seq_cst);
    } else {
      carrier_.aside.fetch_add(static_cast<uint32_t>(change), std::memory_order_seq_cst);
    }
    if (change > 0) {
      tell_of_rest(carrier_);
    }
  }

  core::Carrier& carrier_;
  const core::Fiber& self_;
};

bool is_to_be_told(core::Carrier& carrier, uint32_t bit) {
  return (carrier.rest_awaited.fetch_and(~bit, std::memory_order_seq_cst) & bit) != 0;
}

// Whoever of the workers' fibers is the last one may be on any of them.
void ask_all_to_tell() {
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    carrier->rest_awaited.fetch_or(core::Carrier::kRestOfWorkers, std::memory_order_seq_cst);
  }
}

// False at the deadline, or by an interruption.
template <class IsSomeLeft>
bool wait_until_none(const void* announced_at, int64_t deadline, IsSomeLeft is_some_left) {
  Interruptible section;
  for (;;) {
    sync::ParkResult result =
        sync::park(announced_at, {.deadline = base::Deadline::at(deadline)}, is_some_left);
    if (result.how == sync::Outcome::invalid) {
      return true;
    }
    if (sync::gave_up(result.how)) {
      return !is_some_left();
    }
  }
}

}  // namespace

void tell_who_awaits_rest(core::Carrier& carrier, uint32_t who) {
  if ((who & core::Carrier::kOwnRest) != 0 && rest_of(carrier) == 0 &&
      is_to_be_told(carrier, core::Carrier::kOwnRest)) {
    sync::unpark(&carrier.light_fibers, sync::kEverybody);
  }
  if ((who & core::Carrier::kRestOfWorkers) != 0 && core::count_rest_of_workers() == 0 &&
      is_to_be_told(carrier, core::Carrier::kRestOfWorkers)) {
    sync::unpark(&core::workers_aside, sync::kEverybody);
  }
}

bool sleep_in_background(std::int64_t deadline) noexcept {
  core::Fiber* self = core::current();
  if (self == nullptr || self->home.load(std::memory_order_relaxed) != self->carrier) {
    return sleep_until(deadline);
  }
  core::Carrier& carrier = *self->carrier;
  Aside aside(*self);
  carrier.background_timers.fetch_add(1, std::memory_order_relaxed);
  carrier.background_parks.fetch_add(1, std::memory_order_relaxed);
  bool slept = sleep_until(deadline);
  carrier.background_timers.fetch_sub(1, std::memory_order_relaxed);
  return slept;
}

bool wait_for_rest(std::int64_t deadline) noexcept {
  auto have_workers_some = [] {
    ask_all_to_tell();
    return core::count_rest_of_workers() > 0;
  };
  core::Fiber* self = core::current();
  if (self == nullptr) {
    return !core::have_workers() ||
           wait_until_none(&core::workers_aside, deadline, have_workers_some);
  }
  if (!(core::serves_light_fibers() || core::have_workers())) {
    return true;
  }
  core::Carrier& home = core::home_for_light_fibers();
  Aside aside(*self);
  auto has_own = [&] {
    home.rest_awaited.fetch_or(core::Carrier::kOwnRest, std::memory_order_seq_cst);
    return rest_of(home) > 0;
  };
  do {
    // Those of a worker are all among the workers'.
    if (!self->of_workers && !wait_until_none(&home.light_fibers, deadline, has_own)) {
      return false;
    }
    if (core::have_workers() &&
        !wait_until_none(&core::workers_aside, deadline, have_workers_some)) {
      return false;
    }
  } while (!self->of_workers && has_own());
  return true;
}

bool idle() noexcept {
  if (core::current() == nullptr) {
    return yield();
  }
  Interruptible section;
  for (;;) {
    core::Wake how = core::idle();
    if (how != core::Wake::interrupted) {
      return how != core::Wake::cancelled;
    }
  }
}

}  // namespace ramie::detail

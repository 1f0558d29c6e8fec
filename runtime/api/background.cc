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
  explicit Aside(core::Fiber& self) : carrier_(*self.carrier), counts_(is_light(self)) {
    if (counts_) {
      carrier_.aside.fetch_add(1, std::memory_order_seq_cst);
      tell_of_rest(carrier_);
    }
  }
  ~Aside() {
    if (counts_) {
      carrier_.aside.fetch_sub(1, std::memory_order_seq_cst);
    }
  }
  Aside(const Aside&) = delete;
  Aside& operator=(const Aside&) = delete;

 private:
  static bool is_light(const core::Fiber& self) { return self.kind == core::FiberKind::light; }

  core::Carrier& carrier_;
  bool counts_;
};

}  // namespace

void tell_of_rest(core::Carrier& carrier) {
  if (carrier.rest_awaited.load(std::memory_order_seq_cst) && rest_of(carrier) == 0 &&
      carrier.rest_awaited.exchange(false, std::memory_order_seq_cst)) {
    sync::unpark(&carrier.light_fibers, sync::kEverybody);
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
  core::Fiber* self = core::current();
  if (self == nullptr || !core::serves_light_fibers()) {
    return true;
  }
  core::Carrier& home = core::home_for_light_fibers();
  Aside aside(*self);
  Interruptible section;
  auto is_some_left = [&] {
    home.rest_awaited.store(true, std::memory_order_seq_cst);
    return rest_of(home) > 0;
  };
  for (;;) {
    sync::ParkResult result =
        sync::park(&home.light_fibers, {.deadline = base::Deadline::at(deadline)}, is_some_left);
    if (result.how == sync::Outcome::invalid) {
      return true;
    }
    if (sync::gave_up(result.how)) {
      return rest_of(home) == 0;
    }
  }
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

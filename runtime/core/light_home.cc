#include "core/light_home.h"

#include "base/check.h"
#include "base/deadline.h"
#include "core/park.h"
#include "core/scheduler.h"

namespace ramie::core {
namespace {

constexpr int64_t kPatience = 100'000;  // ns between two looks

// Set before the fiber's home is read, and read after it is cleared: sequentially consistent, as
// those are.
constinit std::atomic<bool> is_needed = false;

// Once this holds with the fiber's home set, it holds for good: the fiber runs at home, or waits
// for its turn there (which only its carrier can see, and must if the two take turns with us), or
// it is nowhere and will be made ready for its home.
bool is_at_home(const Carrier& home, const Fiber& fiber) {
  RuntimeSection section(*current());
  return (current()->carrier == &home && home.pinned.holds(fiber)) ||
         home.current.load(std::memory_order_acquire) == &fiber ||
         Fiber::phase_of(fiber.state.load(std::memory_order_acquire)) == Phase::parked;
}

void bring_home(Carrier& home) {
  Fiber& owner = home.thread;
  if (owner.home.load(std::memory_order_seq_cst) == &home && owner.carrier == &home) {
    return;
  }
  owner.home.store(&home, std::memory_order_seq_cst);
  if (current() == &owner) {
    while (owner.carrier != &home) {
      yield();  // it is put back at home
    }
    return;
  }
  while (!is_at_home(home, owner)) {
    (void)sleep_until(base::Deadline::after(base::now(), kPatience));
  }
}

}  // namespace

Carrier& first_carrier() {
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (!carrier->is_bare && carrier->thread.host != nullptr) {
      return *carrier;
    }
  }
  RAMIE_CHECK(false);
}

Carrier& bring_first_home() {
  Carrier& home = first_carrier();
  bring_home(home);
  return home;
}

void release_first(Carrier& home) {
  home.thread.home.store(nullptr, std::memory_order_seq_cst);
  if (is_needed.load(std::memory_order_seq_cst)) {
    home.thread.home.store(&home, std::memory_order_relaxed);
  }
}

Carrier& find_home_for_light_fibers() {
  if (current() == nullptr) {
    return attach();
  }
  is_needed.store(true, std::memory_order_seq_cst);
  Carrier& home = first_carrier();
  bring_home(home);
  return home;
}

bool serves_light_fibers() {
  for (Carrier* carrier = carriers(); carrier != nullptr; carrier = carrier->next_carrier) {
    if (carrier->light_fibers.load(std::memory_order_relaxed) > 0) {
      return true;
    }
  }
  return false;
}

}  // namespace ramie::core

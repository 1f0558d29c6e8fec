// The parking lot for the inline types: see <ramie/detail/park.h>.
#include <ramie/detail/abi.h>

#include "api/interruptible.h"
#include "base/deadline.h"
#include "core/carrier.h"
#include "core/tls.h"
#include "sync/mutex.h"
#include "sync/parking_lot.h"

namespace ramie::detail {

parked park_on(const word& waited, std::uint32_t expected, std::int64_t deadline) noexcept {
  Interruptible section;
  sync::ParkOptions options{.deadline = base::Deadline::at(deadline)};
  sync::ParkResult result = sync::park(
      &waited, options, [&] { return waited.load(std::memory_order_relaxed) == expected; });
  switch (result.how) {
    case sync::Outcome::woken:
      return parked::woken;
    case sync::Outcome::timed_out:
      return parked::timed_out;
    case sync::Outcome::invalid:
      return parked::changed;
    case sync::Outcome::cancelled:
      return parked::cancelled;
    case sync::Outcome::interrupted:
      break;
  }
  return parked::interrupted;
}

std::uint32_t unpark_on(const void* address, std::uint32_t count) noexcept {
  return sync::unpark(address, count);
}

void lock_quietly(word& mutex) noexcept {
  (void)sync::Mutex::lock_slowly(mutex, base::Deadline::never());
}

const void* this_flow() noexcept {
  // A thread is known by its thread control block, before it has fibers and after, hosted or not.
  const core::Fiber* fiber = core::current();
  return fiber != nullptr && fiber->kind == core::FiberKind::light
             ? static_cast<const void*>(fiber)
             : reinterpret_cast<const void*>(core::tls::self());
}

}  // namespace ramie::detail

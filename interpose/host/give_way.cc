#include "interpose/host/give_way.h"

#include "core/carrier.h"
#include "core/park.h"
#include "interpose/host/thread.h"

namespace ramie::host {

void give_way(core::Fiber& fiber) {
  constexpr unsigned kMostYields = 4;
  fiber.carrier->overstays.store(false, std::memory_order_relaxed);
  auto* thread = static_cast<Thread*>(fiber.host);
  if (thread == nullptr) {
    return;
  }
  auto waits =
      static_cast<uint16_t>(core::Fiber::epoch_of(fiber.state.load(std::memory_order_relaxed)));
  if (thread->waits_at_yield != waits) {
    thread->waits_at_yield = waits;
    thread->yields = 0;
  }
  if (thread->yields < kMostYields) {
    ++thread->yields;
    core::yield();
  }
}

}  // namespace ramie::host

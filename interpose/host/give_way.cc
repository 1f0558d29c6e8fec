#include "interpose/host/give_way.h"

#include "core/carrier.h"
#include "core/park.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

// Not while a child is about to borrow the thread's memory, nor in the middle of anything else that
// the runtime does.  Nor if the thread has light fibers: those of one kernel thread run between its
// waits, and at no other time.
bool may_yield(const core::Fiber& fiber, const Thread* thread) {
  bool is_in_call_alone = fiber.runtime_depth.load(std::memory_order_relaxed) == 1;
  return thread != nullptr && !thread->lends_memory && is_in_call_alone &&
         (!fiber.shares_tcb || fiber.carrier->light_fibers.load(std::memory_order_relaxed) == 0);
}

}  // namespace

void give_way(core::Fiber& fiber) {
  constexpr unsigned kMostYields = 4;
  core::Carrier& carrier = *fiber.carrier;
  uint64_t wish = carrier.overstays.exchange(0, std::memory_order_relaxed);
  auto* thread = static_cast<Thread*>(fiber.host);
  // The one who was meant may have switched meanwhile.
  if (wish != carrier.switches.load(std::memory_order_relaxed) + 1 || !may_yield(fiber, thread)) {
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

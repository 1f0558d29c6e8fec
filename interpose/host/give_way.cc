#include "interpose/host/give_way.h"

#include "core/carrier.h"
#include "core/crew.h"
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

// That it yields once more, without having waited.
bool is_willing(const core::Fiber& fiber, Thread& thread) {
  constexpr unsigned kMostYields = 4;
  auto waits =
      static_cast<uint16_t>(core::Fiber::epoch_of(fiber.state.load(std::memory_order_relaxed)));
  if (thread.waits_at_yield != waits) {
    thread.waits_at_yield = waits;
    thread.yields = 0;
  }
  if (thread.yields == kMostYields) {
    return false;
  }
  ++thread.yields;
  return true;
}

}  // namespace

void give_way(core::Fiber& fiber) {
  using Why = core::YieldWish::Why;
  core::Carrier& carrier = *fiber.carrier;
  Why why = carrier.yield_wish.take(carrier.switches.load(std::memory_order_relaxed));
  auto* thread = static_cast<Thread*>(fiber.host);
  if (why == Why::none || !may_yield(fiber, thread)) {
    return;
  }
  bool is_anybody_ready = !carrier.pinned.empty() || core::count_offered(carrier) > 0;
  if (why == Why::runs_long ? is_willing(fiber, *thread) : is_anybody_ready) {
    core::yield();
  }
}

}  // namespace ramie::host

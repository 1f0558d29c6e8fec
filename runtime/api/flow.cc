// Switching between stacks within one fiber: see <ramie/detail/flow.h>.
//
// The scheduler knows one context for each fiber, that of the stack on which it was left, whichever
// that is; so flows need nothing from it.  Only the sanitizers have to be told which stack runs:
// the fiber's own SanitizerState is always that of the flow that it is in, and the others keep
// theirs in their places.  A thread that runs no fibers has none.
//
// The stack is that of a light fiber which is never started: it has a guard, and whoever runs into
// it is named in the message.
#include <ramie/detail/abi.h>

#include <cstring>

#include "core/carrier.h"
#include "core/context.h"
#include "core/sanitizer.h"
#include "core/stack.h"
#include "event/section.h"

namespace ramie::detail {
namespace {

struct Place {
  core::Context context;
  core::SanitizerState sanitizer;
  void (*entry)(void*);
  void* argument;
};
static_assert(sizeof(Place) <= sizeof(flow_place));

Place& inside(flow_place& place) { return *reinterpret_cast<Place*>(&place); }

// What a switch takes along, on the stack that is left.
struct Passage {
  Place* from;
  Place* to;
};

// On the stack that is gone to, before anything on the one that was left goes on.
void arrive(core::Arrival arrival) {
  const Passage& passage = *static_cast<const Passage*>(arrival.data);
  passage.from->context = arrival.fctx;
  core::after_switch(passage.to->sanitizer, passage.from->sanitizer);
}

void flow_main(core::Arrival arrival) {
  Place& self = *static_cast<const Passage*>(arrival.data)->to;
  arrive(arrival);
  self.entry(self.argument);
  __builtin_unreachable();
}

}  // namespace

control* create_flow(std::size_t stack_size, const char* name, flow_place& begin,
                     void (*entry)(void*) noexcept, void* argument) noexcept {
  event::Section section;
  core::Fiber* fiber = core::create_light_fiber(stack_size, 0, nullptr);
  if (fiber == nullptr) {
    return nullptr;
  }
  if (!core::place_on_stack(*fiber)) {
    core::release(*fiber);
    return nullptr;
  }
  std::strncpy(fiber->name, name, sizeof fiber->name - 1);
  Place& place = inside(begin);
  place.context = core::make_context(fiber->stack.top(), fiber->stack.size, flow_main);
  place.sanitizer = {};
  place.sanitizer.create(fiber->stack.base, fiber->stack.size);
  place.entry = entry;
  place.argument = argument;
  return reinterpret_cast<control*>(fiber);
}

void destroy_flow(control* stack, flow_place& begin) noexcept {
  event::Section section;
  inside(begin).sanitizer.destroy();
  core::release(*reinterpret_cast<core::Fiber*>(stack));
}

void switch_flow(flow_place& from, flow_place& to, bool for_ever) noexcept {
  Passage passage{&inside(from), &inside(to)};
  if (core::Fiber* fiber = core::current()) {
    passage.from->sanitizer = fiber->sanitizer;
    fiber->sanitizer = passage.to->sanitizer;
  } else {
    passage.from->sanitizer.adopt_thread();
  }
  core::before_switch(passage.from->sanitizer, passage.to->sanitizer, for_ever);
  arrive(core::jump(passage.to->context, &passage));
}

}  // namespace ramie::detail

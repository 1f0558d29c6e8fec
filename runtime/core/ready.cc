// How a fiber becomes ready: what scheduler.h says of it.
#include "core/carrier.h"
#include "core/crew.h"
#include "core/scheduler.h"
#include "core/turns.h"

namespace ramie::core {

void make_ready_elsewhere(Fiber& fiber) {
  const Fiber* self = current();
  if (Carrier* home = fiber.home.load(std::memory_order_relaxed)) {
    home->inbox.push(&fiber);
    wake(*home);
  } else if (self != nullptr) {
    Carrier& carrier = *self->carrier;
    enqueue(carrier, fiber);
    bool by_loop = self->kind == FiberKind::loop;
    if (!by_loop) {
      carrier.yield_wish.count_readied(carrier.switches.load(std::memory_order_relaxed));
    }
    bool is_next = by_loop && count_offered(carrier) < 2;
    if (!is_next || !carrier.pinned.empty()) {
      offer_work(carrier);
    }
  } else {
    (goes_first(fiber) ? crew.express : crew.shared).push(&fiber);
    call_help();
  }
}

void put_back(Carrier& carrier, Fiber& fiber) {
  Carrier* home = fiber.home.load(std::memory_order_relaxed);
  if (home == nullptr) {
    enqueue(carrier, fiber);
  } else if (home == &carrier) {
    carrier.pinned.push(&fiber);
  } else {
    home->inbox.push(&fiber);
    wake(*home);
  }
}

void put_behind(Carrier& carrier, Fiber& fiber) {
  if (carrier.turns.measures()) [[unlikely]] {
    note_turn(carrier, fiber);
  }
  bool is_homeless = fiber.home.load(std::memory_order_relaxed) == nullptr;
  (is_homeless ? enqueue_last : put_back)(carrier, fiber);
}

void fire_timers(TimerHeap& timers, int64_t now) {
  Ticket ticket;
  while (timers.take_due(now, ticket)) {
    (void)unpark(ticket, Wake::timed_out);
  }
}

}  // namespace ramie::core

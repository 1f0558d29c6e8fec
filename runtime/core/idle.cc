#include "core/idle.h"

#include "core/carrier.h"
#include "core/loop.h"
#include "core/park.h"
#include "core/scheduler.h"

namespace ramie::core {

Wake idle() {
  Fiber& self = *current();
  if (self.home.load(std::memory_order_relaxed) != self.carrier) {
    (void)yield();
    return Wake::unparked;
  }
  Idler mine;
  mine.ticket = prepare_park();
  self.carrier->idlers.push_back(&mine);
  Wake how = park({WaitKind::sleep, 0});
  if (mine.linked()) {  // something else ended the wait
    base::IntrusiveList<Idler>::remove(&mine);
  }
  return how;
}

bool serve_idler(Carrier& carrier) {
  if (carrier.idlers.empty()) {
    return false;
  }
  look_at_ring(carrier);
  look_for_events(carrier);
  carrier.inbox.drain_into(carrier.pinned);
  fire_timers(carrier.timers, base::now());
  if (!carrier.has_ready()) {
    (void)unpark(carrier.idlers.pop_front()->ticket);
  }
  return true;
}

}  // namespace ramie::core

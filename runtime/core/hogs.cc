#include "core/hogs.h"

#include "base/config.h"
#include "core/carrier.h"
#include "core/crew.h"

namespace ramie::core {

constinit Hogs hogs;

bool put_off(Carrier& carrier, Fiber& fiber) {
  Deferral& deferral = carrier.deferral;
  // With pinned fibers the loop might be long in coming.
  if (deferral.fiber != nullptr || !carrier.pinned.empty() || !hogs.is_one(&fiber, carrier.now)) {
    return false;
  }
  bool has_looked = deferral.turn == carrier.switches.load(std::memory_order_relaxed);
  bool was_long = deferral.since != 0 && carrier.now - deferral.since >= base::config().slice / 4;
  if (has_looked || was_long) {
    deferral.since = 0;
    return false;
  }
  if (deferral.since == 0) {
    deferral.since = carrier.now;
  }
  deferral.fiber = &fiber;
  return true;
}

void end_deferral(Carrier& carrier) {
  Deferral& deferral = carrier.deferral;
  deferral.turn = carrier.switches.load(std::memory_order_relaxed);
  enqueue(carrier, *deferral.fiber);
  deferral.fiber = nullptr;
}

}  // namespace ramie::core

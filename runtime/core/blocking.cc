#include "core/blocking.h"

#include "core/crew.h"
#include "core/loop.h"
#include "core/scheduler.h"
#include "core/watchdog.h"

namespace ramie::core {
namespace {

// Whoever takes the mark away gives the place back, once.
void give_back(Carrier& carrier, uint64_t mark) {
  if (carrier.blocking.compare_exchange_strong(mark, 0, std::memory_order_acq_rel)) {
    lower_limit();
  }
}

}  // namespace

Blocking::Blocking(Carrier& carrier)
    : carrier_(carrier), mark_(carrier.switches.load(std::memory_order_relaxed) + 1) {
  (void)is_blocking(carrier);  // what a fiber has left here that has moved meanwhile is taken back
  uint64_t none = 0;
  // Apart from the crew, it holds up nobody.
  if (carrier.role.load(std::memory_order_relaxed) != Role::crew || !raise_limit()) {
    mark_ = 0;
    return;
  }
  if (!carrier.blocking.compare_exchange_strong(none, mark_, std::memory_order_acq_rel)) {
    lower_limit();
    mark_ = 0;
    return;
  }
  if (!carrier.ready.empty() || crew.has_shared() || !is_event_watched()) {
    call_help();
  }
  if (!carrier.timers.next().is_never()) {
    look_now();
  }
}

Blocking::~Blocking() {
  if (mark_ != 0) {
    give_back(carrier_, mark_);
  }
}

bool is_blocking(Carrier& carrier) {
  uint64_t mark = carrier.blocking.load(std::memory_order_acquire);
  if (mark == 0) {
    return false;
  }
  if (mark == carrier.switches.load(std::memory_order_relaxed) + 1) {
    return true;
  }
  give_back(carrier, mark);
  return false;
}

}  // namespace ramie::core

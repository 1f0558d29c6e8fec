#include "core/turns.h"

#include <algorithm>
#include <utility>

#include "base/config.h"
#include "base/deadline.h"
#include "core/carrier.h"
#include "core/cpu_clock.h"
#include "core/crew.h"
#include "core/watchdog.h"
#include "core/workers.h"

namespace ramie::core {
namespace {

using Look = Turns::Look;

constexpr uint32_t kQuickTurns = 64;  // in a row, until it measures no more
constexpr uint8_t kBusy = 255;        // Fiber::busy after a long turn,
constexpr uint8_t kQuick = 32;        // and what a quick one takes off that

int64_t long_turn() { return base::config().slice / 20; }

int64_t longest_wait() { return base::config().slice / 4; }

// Another process may have had the processor for most of that time.
bool was_long(const Turns& turns, int64_t wall) {
  return wall >= long_turn() && own_cpu_time() - turns.cpu_began >= long_turn() / 2;
}

bool have_waited_long(const Carrier& carrier, int64_t since) {
  return since != 0 && carrier.now - since >= longest_wait();
}

// One to run now.  Where turns are short, the others go into the carrier's queue.
Fiber* take_express(Carrier& carrier) {
  Fiber* fiber = crew.express.pop();
  if (!carrier.turns.measures() && !crew.express.empty()) {
    crew.express.give_to(carrier.ready, Crew::kBatch);
  }
  return fiber;
}

}  // namespace

void end_turns(Carrier& carrier) {
  Turns& turns = carrier.turns;
  if (turns.began == 0) {
    return;  // nobody ran
  }
  int64_t wall = carrier.now - turns.began;
  turns.began = 0;
  switch (turns.look) {
    case Look::none:
      if (wall >= 2 * long_turn() && is_watchdog_there() &&
          carrier.role.load(std::memory_order_relaxed) == Role::crew) [[unlikely]] {
        turns.look = Look::suspects;
      }
      break;
    case Look::suspects:
      turns.look = was_long(turns, wall) ? Look::measures : Look::none;
      turns.quick = 0;
      break;
    case Look::measures:
      if (++turns.quick > kQuickTurns) {
        turns.look = Look::none;
      }
      break;
  }
}

void begin_anew(Carrier& carrier, int64_t now) {
  carrier.now = now;
  carrier.turns.busy_since = carrier.turns.queue_since = 0;
}

void begin_turns(Carrier& carrier) {
  carrier.turns.began = carrier.now;
  if (carrier.turns.look != Look::none) [[unlikely]] {
    carrier.turns.cpu_began = own_cpu_time();
  }
}

void note_turn(Carrier& carrier, Fiber& left) {
  Turns& turns = carrier.turns;
  if (turns.began != 0 && was_long(turns, base::now() - turns.began)) {
    turns.quick = 0;
    left.busy = left.kind != FiberKind::light ? kBusy : 0;
  } else {
    left.busy -= std::min(left.busy, kQuick);
  }
}

bool put_off(Carrier& carrier, Fiber& fiber) {
  Turns& turns = carrier.turns;
  if (turns.looked_at == carrier.switches.load(std::memory_order_relaxed)) {
    return false;  // there is another one that waits for longer
  }
  // With pinned fibers the loop might be long in coming.
  if (turns.put_off != nullptr || !carrier.pinned.empty() ||
      have_waited_long(carrier, turns.busy_since) || have_waited_long(carrier, turns.queue_since)) {
    turns.busy_since = 0;
    return false;
  }
  if (turns.busy_since == 0) {
    turns.busy_since = carrier.now;
  }
  --fiber.busy;
  turns.put_off = &fiber;
  return true;
}

Fiber* after_others(Carrier& carrier) {
  Turns& turns = carrier.turns;
  turns.looked_at = carrier.switches.load(std::memory_order_relaxed);
  // Where turns are measured, those in the queue are busy, too.
  if (!crew.express.empty() || (turns.measures() ? !carrier.pinned.empty() : carrier.has_ready())) {
    give_back_put_off(carrier);
    return nullptr;
  }
  turns.busy_since = turns.queue_since = 0;
  return std::exchange(turns.put_off, nullptr);
}

void give_back_put_off(Carrier& carrier) {
  if (Fiber* fiber = std::exchange(carrier.turns.put_off, nullptr)) {
    enqueue_last(carrier, *fiber);
  }
}

Fiber* take_next(Carrier& carrier) {
  Turns& turns = carrier.turns;
  if (!crew.express.empty() && takes_any(carrier) &&
      carrier.role.load(std::memory_order_relaxed) == Role::crew) [[unlikely]] {
    if (!carrier.has_ready()) {
      turns.queue_since = 0;
    } else if (turns.queue_since == 0) {
      turns.queue_since = carrier.now;
    }
    Fiber* fiber = have_waited_long(carrier, turns.queue_since) ? nullptr : take_express(carrier);
    if (fiber != nullptr) {
      return fiber;
    }
  }
  Fiber* fiber = carrier.take_ready();
  if (fiber != nullptr) {
    turns.queue_since = 0;
  }
  return fiber;
}

}  // namespace ramie::core

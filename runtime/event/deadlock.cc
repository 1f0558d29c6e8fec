#include "event/deadlock.h"

#include <atomic>
#include <cstdint>

#include "base/check.h"
#include "base/config.h"
#include "base/deadline.h"
#include "base/format.h"
#include "base/log.h"
#include "core/carrier.h"
#include "core/scheduler.h"
#include "core/stack.h"

namespace ramie::event {
namespace {

using core::Fiber;
using core::WaitKind;
using Line = base::Line<256>;

constinit std::atomic<FiberVisitor> visit_hosted = nullptr;
constinit std::atomic<uint64_t> reported_parks = 0;

void describe(Line& line, const core::WaitReason& reason) {
  switch (reason.kind) {
    case WaitKind::none:
    case WaitKind::exited:
      line << "something";
      break;
    case WaitKind::sleep:
      line << "a signal or the time";
      break;
    case WaitKind::descriptor:
      line << "descriptor " << reason.object;
      break;
    case WaitKind::address:
      line << "address " << base::Hex{reason.object};
      break;
    case WaitKind::child:
      line << "child process " << reason.object;
      break;
    case WaitKind::offload:
    case WaitKind::helper:
      line << "system call " << reason.object;
      break;
    case WaitKind::join:
      line << "the end of fiber " << reason.object;
      break;
  }
}

void report(Fiber& fiber, void* count) {
  uint64_t state = fiber.state.load(std::memory_order_relaxed);
  const core::WaitState* wait = fiber.wait;
  if (Fiber::phase_of(state) != core::Phase::parked || wait == nullptr ||
      wait->timer.index != core::Timer::kNowhere) {  // sleeps in the background
    return;
  }
  ++*static_cast<uint64_t*>(count);
  Line line;
  line << "ramie: fiber " << fiber.id;
  if (fiber.name[0] != '\0') {
    line << " (" << fiber.name << ")";
  } else if (fiber.kind == core::FiberKind::thread) {
    line << " (the thread's own)";
  }
  line << " waits for ";
  describe(line, wait->reason);
  line << ", since " << (base::now() - wait->since) / base::kNanosPerSecond << " s";
  base::write_message(line.ended());
}

// The shim's list may hold the threads' own fibers, which were seen already.
void report_hosted(Fiber& fiber, void* count) {
  if (fiber.kind != core::FiberKind::thread) {
    report(fiber, count);
  }
}

uint64_t count_parks() {
  uint64_t parks = 0;
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    parks += carrier->parks.load(std::memory_order_relaxed) -
             carrier->background_parks.load(std::memory_order_relaxed);
  }
  return parks;
}

}  // namespace

void install_deadlock_report() {
  if (base::config().deadlock != base::DeadlockAction::off) {
    core::set_deadlock_hook(report_deadlock);
  }
}

void report_deadlock() {
  // At least one fiber has parked before a standstill, so 0 is never the number of one.
  uint64_t parks = count_parks();
  if (reported_parks.exchange(parks, std::memory_order_relaxed) == parks) {
    return;
  }
  uint64_t count = 0;
  for (core::Carrier* carrier = core::carriers(); carrier != nullptr;
       carrier = carrier->next_carrier) {
    report(carrier->thread, &count);
  }
  core::for_each_light_fiber(report, &count);
  if (FiberVisitor visit = visit_hosted.load(std::memory_order_acquire)) {
    visit(report_hosted, &count);
  }
  if (count == 0) {
    return;
  }
  Line line;
  line << "ramie: deadlock: " << count << (count == 1 ? " fiber is" : " fibers are")
       << " parked and nothing can wake " << (count == 1 ? "it" : "them");
  base::write_message(line.ended());
  if (base::config().deadlock == base::DeadlockAction::abort) {
    base::fail("deadlock", __FILE__, __LINE__);
  }
}

void set_fiber_visitor(FiberVisitor visitor) {
  visit_hosted.store(visitor, std::memory_order_release);  // pairs with report_deadlock()
}

}  // namespace ramie::event

// Fiber::done, the life of a spawned fiber as its handle sees it:
//
// | bit       | set by                          | means                                          |
// |-----------|---------------------------------|------------------------------------------------|
// | kEnded    | the fiber, once                 | the result is there                            |
// | kTaken    | the first fiber that joins; ... | Fiber::joiner is that one's to write           |
// | kJoined   | ... both unset when it gives up | the end wakes the park in Fiber::joiner        |
// | kAwaited  | any other that waits for it     | the end has to be announced in the parking lot |
// | kDetached | the handle, when it is dropped  | the fiber destroys its task itself             |
// | kEmpty    | the fiber, with kEnded          | the task needs no destruction                  |
//
// Fiber::joiner is read by the fiber that ends, when it has found kJoined as it set kEnded, and
// then nobody writes it any more.
//
// Of kEnded and kDetached, the one that comes second leaves the task to whoever set it.
#include <ramie/detail/abi.h>

#include <cerrno>
#include <cstring>
#include <optional>

#include "api/interruptible.h"
#include "api/join.h"
#include "api/rest.h"
#include "base/config.h"
#include "base/deadline.h"
#include "base/format.h"
#include "base/one_thread.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/park.h"
#include "core/park_here.h"
#include "core/scheduler.h"
#include "core/stack.h"
#include "core/workers.h"
#include "event/section.h"
#include "runtime.h"
#include "sync/parking_lot.h"

namespace ramie::detail {
namespace {

constexpr uint32_t kEnded = 1;
constexpr uint32_t kAwaited = 2;
constexpr uint32_t kDetached = 4;
constexpr uint32_t kTaken = 8;
constexpr uint32_t kJoined = 16;
constexpr uint32_t kEmpty = 32;

core::Fiber& fiber_of(control* control) { return *reinterpret_cast<core::Fiber*>(control); }

const core::Fiber& fiber_of(const control* control) {
  return *reinterpret_cast<const core::Fiber*>(control);
}

void run_task(core::Fiber& self) {
  auto* task = static_cast<task_base*>(self.argument);
  task->run(task, reinterpret_cast<control*>(&self));
  core::exit_current({[](void* ended) {
                        auto& fiber = *static_cast<core::Fiber*>(ended);
                        core::Carrier& carrier = *fiber.carrier;
                        core::end_run(fiber);
                        tell_of_rest(carrier);
                      },
                      &self});
}

bool has_ended(const core::Fiber& fiber) {
  return (fiber.done.load(std::memory_order_acquire) & kEnded) != 0;  // pairs with finish()
}

// On the running fiber, once.  Null when the other has ended.
[[gnu::always_inline]] inline std::optional<core::Wake> park_until_end(core::Fiber& fiber,
                                                                       base::Deadline deadline) {
  core::Fiber& self = *core::current();
  core::RuntimeSection section(self);  // no handler waits between the ticket and the park
  fiber.joiner = core::prepare_park_here(self);
  if ((base::fetch_or(fiber.done, kJoined, std::memory_order_acq_rel) & kEnded) != 0) {
    core::abandon_park();
    return {};
  }
  core::Wake how = core::park_here(self, {core::WaitKind::join, fiber.id}, deadline, {});
  if (how == core::Wake::unparked ||
      (fiber.done.fetch_and(~kJoined, std::memory_order_acq_rel) & kEnded) != 0) {
    return {};
  }
  return how;
}

// On a kernel thread, or where another fiber was the first.
int join_in_parking_lot(core::Fiber& fiber, base::Deadline deadline) {
  Interruptible interruptible;
  while (!has_ended(fiber)) {
    fiber.done.fetch_or(kAwaited, std::memory_order_relaxed);
    sync::ParkOptions options{.deadline = deadline, .reason = {core::WaitKind::join, fiber.id}};
    sync::ParkResult result = sync::park(&fiber.done, options, [&] { return !has_ended(fiber); });
    if (sync::gave_up(result.how)) {
      return has_ended(fiber) ? 0 : ETIMEDOUT;
    }
  }
  return 0;
}

}  // namespace

control* create(std::size_t stack_size, std::size_t extra, void** memory,
                const char* name) noexcept {
  event::Section section;
  core::Fiber* fiber = core::create_light_fiber(stack_size, extra, memory);
  if (fiber != nullptr && name != nullptr && name[0] != '\0') [[unlikely]] {
    std::strncpy(fiber->name, name, sizeof fiber->name - 1);
  }
  return reinterpret_cast<control*>(fiber);
}

std::size_t inline_limit(std::size_t stack_size) noexcept {
  return (stack_size == 0 ? base::config().stack_size : stack_size) / 2;
}

void start(control* control, task_base* task) noexcept {
  core::Fiber& fiber = fiber_of(control);
  fiber.argument = task;
  runtime::start();
  event::Section section;
  core::start_light_fiber(fiber, run_task);
}

void start_anywhere(control* control, task_base* task) noexcept {
  if (!core::have_workers()) {
    start(control, task);
    return;
  }
  core::Fiber& fiber = fiber_of(control);
  fiber.argument = task;
  runtime::start();
  event::Section section;
  core::start_anywhere(fiber, run_task);
}

void start_now(control* control, task_base* task) noexcept {
  core::Fiber& fiber = fiber_of(control);
  fiber.argument = task;
  runtime::start();
  {
    event::Section section;
    core::settle_light_fiber(fiber, run_task);
  }
  if (!core::run_in_place(fiber)) {
    core::RuntimeSection section(*core::current());
    core::make_ready(fiber);
  }
}

void drop(control* control) noexcept {
  core::Fiber& fiber = fiber_of(control);
  // Acquire pairs with finish(): the result is destroyed next.  Release: what the handle's owner
  // read.
  uint32_t before = base::fetch_or(fiber.done, kDetached, std::memory_order_acq_rel);
  if ((before & (kEnded | kEmpty)) == kEnded) {
    auto* task = static_cast<task_base*>(fiber.argument);
    task->destroy(task, control);
  }
  event::Section section;
  core::release(fiber);
}

void outside_work(bool begins) noexcept {
  if (begins) {
    core::outside_work_began();
  } else {
    core::outside_work_ended();
  }
}

void retain(control* control) noexcept { core::retain(fiber_of(control)); }

void release(control* control) noexcept {
  event::Section section;
  core::release(fiber_of(control));
}

bool finish(control* control, bool needs_nothing) noexcept {
  core::Fiber& fiber = fiber_of(control);
  // Release pairs with join() and drop(); acquire with the same.
  uint32_t bits = needs_nothing ? kEnded | kEmpty : kEnded;
  uint32_t before = base::fetch_or(fiber.done, bits, std::memory_order_acq_rel);
  if ((before & kJoined) != 0) {
    core::RuntimeSection section(*core::current());
    (void)core::unpark_here(fiber.joiner);
  }
  if ((before & kAwaited) != 0) {
    sync::unpark(&fiber.done, sync::kEverybody);
  }
  return (before & kDetached) != 0;
}

void forget_joiners(core::Fiber& fiber) {
  fiber.done.fetch_and(~(kAwaited | kTaken | kJoined), std::memory_order_relaxed);
}

int join(control* control, std::int64_t deadline) noexcept {
  core::Fiber& fiber = fiber_of(control);
  if (core::current() == &fiber) {
    return EDEADLK;
  }
  base::Deadline until = base::Deadline::at(deadline);
  if (has_ended(fiber)) {
    return 0;
  }
  // Acquire and release: who was there before and gave up has written the ticket.
  if (core::current() == nullptr ||
      (base::fetch_or(fiber.done, kTaken, std::memory_order_acq_rel) & kTaken) != 0) {
    return join_in_parking_lot(fiber, until);
  }
  int error = 0;
  {
    Interruptible interruptible;
    while (error == 0 && !has_ended(fiber)) {
      std::optional<core::Wake> how = park_until_end(fiber, until);
      if (how == core::Wake::timed_out || how == core::Wake::cancelled) {
        error = ETIMEDOUT;
        fiber.done.fetch_and(~kTaken, std::memory_order_acq_rel);
      }
    }
  }
  return core::return_by_jump(error);
}

task_base* task_of(const control* control) noexcept {
  return static_cast<task_base*>(fiber_of(control).argument);
}

task_base* current_task() noexcept {
  const core::Fiber* self = core::current();
  return self == nullptr || self->kind != core::FiberKind::light
             ? nullptr
             : static_cast<task_base*>(self->argument);
}

bool has_ended(const control* control) noexcept { return has_ended(fiber_of(control)); }

wait_key key_of_end(const control* control) noexcept {
  auto& done = const_cast<std::atomic<uint32_t>&>(fiber_of(control).done);
  return {&done,
          [](const void* object) noexcept {
            auto& bits = *static_cast<std::atomic<uint32_t>*>(const_cast<void*>(object));
            // As in join(): the end is announced from here on.
            return (bits.fetch_or(kAwaited, std::memory_order_acq_rel) & kEnded) == 0;
          },
          &done};
}

std::uint64_t parent_of(const control* control) noexcept { return fiber_of(control).parent; }

std::uint64_t id_of(const control* control) noexcept { return fiber_of(control).id; }

const char* name_of(const control* control) noexcept { return fiber_of(control).name; }

void report_lost_exception(const control* control, const char* what) noexcept {
  const core::Fiber& fiber = fiber_of(control);
  base::Line<512> line;
  line << "ramie: fiber " << fiber.id;
  if (fiber.name[0] != '\0') {
    line << " (" << fiber.name << ")";
  }
  line << " ended by an exception that nobody took: " << what;
  line.write_to(2);
}

bool sleep_until(std::int64_t deadline) noexcept {
  if (core::current() == nullptr) {
    timespec until = base::to_timespec(deadline);
    while (sys::call(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, sys::arg(&until)) ==
           -EINTR) {
    }
    return true;
  }
  Interruptible section;
  for (;;) {
    core::Wake how = core::sleep_until(base::Deadline::at(deadline));
    if (how == core::Wake::cancelled) {
      return false;
    }
    if (how == core::Wake::timed_out) {
      return true;
    }
  }
}

const control* running() noexcept { return reinterpret_cast<const control*>(core::current()); }

std::uint64_t switches() noexcept {
  const core::Fiber* self = core::current();
  return self == nullptr ? 0 : self->carrier->switches.load(std::memory_order_relaxed);
}

bool yield() noexcept {
  const core::Fiber* self = core::current();
  if (self == nullptr) {
    (void)sys::call(SYS_sched_yield);
    return true;
  }
  if (Interruptible::may_be_asked_to_end(*self) && is_interrupted()) [[unlikely]] {
    return false;
  }
  return core::yield();
}

}  // namespace ramie::detail

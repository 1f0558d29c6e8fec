#include <ramie/detail/abi.h>

#include "api/interruptible.h"
#include "core/exceptions.h"
#include "core/park.h"
#include "event/section.h"
#include "runtime.h"

namespace ramie::detail {
namespace {

core::Fiber& fiber_of(control* control) { return *reinterpret_cast<core::Fiber*>(control); }

scope* scopes_of(const core::Fiber& fiber) { return static_cast<scope*>(fiber.wait->scopes); }

// The earliest deadline of the fiber's scopes, the next to end.
scope* next_to_end(const core::Fiber& fiber) {
  scope* first = nullptr;
  for (scope* one = scopes_of(fiber); one != nullptr; one = one->outer) {
    // Of equal ones the outermost: it ends the inner ones as well.
    if (first == nullptr || one->deadline <= first->deadline) {
      first = one;
    }
  }
  return first;
}

void find_end(core::Fiber& fiber) {
  scope* first = next_to_end(fiber);
  fiber.wait->scopes_end =
      first == nullptr ? base::Deadline::never() : base::Deadline::at(first->deadline);
}

bool may_be_interrupted(const core::Fiber& fiber) {
  return fiber.interruptions_off == 0 && !core::is_unwinding(fiber);
}

}  // namespace

void cancel(control* control) noexcept {
  event::Section section;  // it may make the fiber ready
  core::cancel(fiber_of(control));
}

bool take_cancel(control* control) noexcept {
  std::atomic<bool>& requested = fiber_of(control).cancel_requested;
  return requested.load(std::memory_order_relaxed) &&
         requested.exchange(false, std::memory_order_acquire);
}

bool is_interrupted() noexcept {
  const core::Fiber* self = core::current();
  return self != nullptr && Interruptible::may_be_asked_to_end(*self) &&
         (self->cancel_requested.load(std::memory_order_relaxed) ||
          self->wait->scopes_end.passed(base::now())) &&
         may_be_interrupted(*self);
}

interruption take_interruption(std::int64_t deadline) noexcept {
  core::Fiber* self = core::current();
  if (self == nullptr || !may_be_interrupted(*self)) {
    return {};
  }
  if (self->cancel_requested.exchange(false, std::memory_order_acquire)) {
    return {.is_cancel = true};
  }
  if (self->wait->scopes_end < base::Deadline::at(deadline) &&
      self->wait->scopes_end.passed(base::now())) {
    scope* ended = next_to_end(*self);
    ended->has_ended = true;
    ended->deadline = never;
    find_end(*self);
    return {.ended = ended};
  }
  return {};
}

void enter_scope(scope* entered) noexcept {
  core::Fiber& self = *runtime::start().current;
  entered->outer = scopes_of(self);
  self.wait->scopes = entered;
  find_end(self);
}

void leave_scope(scope* left) noexcept {
  core::Fiber& self = *core::current();
  if (self.wait->scopes == left) {
    self.wait->scopes = left->outer;
  } else {
    for (scope* one = scopes_of(self); one != nullptr; one = one->outer) {
      if (one->outer == left) {
        one->outer = left->outer;
        break;
      }
    }
  }
  find_end(self);
}

void move_scope(scope* moved, std::int64_t deadline) noexcept {
  moved->deadline = deadline;
  moved->has_ended = false;
  find_end(*core::current());
}

bool forbid_interruptions() noexcept {
  core::Fiber* self = core::current();
  if (self != nullptr) {
    ++self->interruptions_off;
  }
  return self != nullptr;
}

void allow_interruptions() noexcept { --core::current()->interruptions_off; }

}  // namespace ramie::detail

// Which parks cancel() and the ends of time-out scopes may end: those within an Interruptible. They
// end with Wake::cancelled, and the reason stays with the fiber until somebody takes it.
#pragma once

#include "core/carrier.h"
#include "core/exceptions.h"

namespace ramie::core {

class Interruptible {
 public:
  Interruptible() : fiber_(current()) {
    if (fiber_ != nullptr) {
      before_ = fiber_->interruptible;
      fiber_->interruptible =
          (fiber_->kind == FiberKind::light || fiber_->wait->scopes != nullptr) &&
          fiber_->interruptions_off == 0 && !is_unwinding(*fiber_);
    }
  }
  ~Interruptible() {
    if (fiber_ != nullptr) {
      fiber_->interruptible = before_;
    }
  }
  Interruptible(const Interruptible&) = delete;
  Interruptible& operator=(const Interruptible&) = delete;

  // A glance: cancel() was called, or the fiber is in a time-out scope, which may be over.
  static bool may_be_asked_to_end(const Fiber& fiber) {
    return fiber.cancel_requested.load(std::memory_order_relaxed) ||
           !fiber.wait->scopes_end.is_never();
  }

 private:
  Fiber* fiber_;
  bool before_ = false;
};

}  // namespace ramie::core

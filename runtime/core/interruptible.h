// Which parks cancel() and the ends of time-out scopes may end: those within an Interruptible. They
// end with Wake::cancelled, and the reason stays with the fiber until somebody takes it.
#pragma once

#include "core/carrier.h"
#include "core/switch.h"

namespace ramie::core {

class Interruptible {
 public:
  Interruptible() : fiber_(current()) {
    if (fiber_ != nullptr) {
      before_ = fiber_->interruptible;
      fiber_->interruptible = (fiber_->kind == FiberKind::light || fiber_->scopes != nullptr) &&
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

  // Whether an exception is on its way up the stack: a second one, thrown by a destructor that
  // waits, would end the program.
  static bool is_unwinding(const Fiber& fiber) {
    const Carrier& carrier = sharer(*fiber.carrier, fiber);
    if (fiber.fs_base != carrier.cpu.own_fs || carrier.exceptions_address == nullptr) {
      return false;
    }
    // The C++ ABI's __cxa_eh_globals: the exceptions caught, and how many are not caught yet.
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(carrier.exceptions_address[1])) != 0;
  }

 private:
  Fiber* fiber_;
  bool before_ = false;
};

}  // namespace ramie::core

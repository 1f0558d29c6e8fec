// How cancel() and time-out scopes end waits.  Nothing throws in the library:
//
// 1. A function of the public API that waits opens an Interruptible.  Only parks within one end
// with
//    Wake::cancelled, and no later than the fiber's time-out scopes.
// 2. It tells its caller "not done", just as when its deadline passed.
// 3. The inline part of it, in the program, asks take_interruption() why, and throws.
//
// Waits that end in success take no notice: the interruption stays for the next one.
#pragma once

#include "core/carrier.h"

namespace ramie::detail {

class Interruptible {
 public:
  Interruptible() : fiber_(core::current()) {
    if (fiber_ != nullptr) {
      before_ = fiber_->interruptible;
      fiber_->interruptible = fiber_->interruptions_off == 0 && !is_unwinding(*fiber_);
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
  static bool is_unwinding(const core::Fiber& fiber) {
    const core::Carrier& carrier = *fiber.carrier;
    if (fiber.fs_base != carrier.cpu.own_fs || carrier.exceptions_address == nullptr) {
      return false;
    }
    // The C++ ABI's __cxa_eh_globals: the exceptions caught, and how many are not caught yet.
    return static_cast<uint32_t>(reinterpret_cast<uintptr_t>(carrier.exceptions_address[1])) != 0;
  }

 private:
  core::Fiber* fiber_;
  bool before_ = false;
};

}  // namespace ramie::detail

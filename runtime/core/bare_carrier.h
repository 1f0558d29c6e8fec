// A carrier on a kernel thread of Ramie's own (kernel_thread.h): nothing but its loop ever runs on
// that one's stack and TCB.
#pragma once

#include "core/carrier.h"
#include "core/kernel_thread.h"

namespace ramie::core {

struct BareCarrier {
  KernelThread thread;
  Carrier carrier;
  bool is_published = false;
  std::atomic<uint32_t> begun = 0;  // apart.cc's
};

// One whose kernel thread hasn't begun, with a TCB and nothing else; it will run `run`.  Null when
// memory is exhausted.
[[nodiscard]] BareCarrier* make_bare_carrier(void (*run)(KernelThread& thread));

// One whose kernel thread can't be started.
void discard_bare_carrier(BareCarrier& bare);

[[nodiscard]] inline BareCarrier& bare_carrier_of(KernelThread& thread) {
  return reinterpret_cast<BareCarrier&>(thread);
}

[[nodiscard]] BareCarrier& bare_carrier_with(Carrier& carrier);

// The kernel thread makes itself a carrier.  False: it must not run fibers (SignalHooks::begin).
// To be called once more where the kernel thread is another one, and the carrier the same.
[[nodiscard]] bool begin_bare_carrier(Carrier& carrier);

// Gives back what the kernel thread had for it, which ends now.
void end_bare_carrier(Carrier& carrier);

}  // namespace ramie::core

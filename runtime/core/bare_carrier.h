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
  BareCarrier* next_free = nullptr;
};

// One without a kernel thread, of which that will run `run`: one that has ended, or a new one with
// a TCB and nothing else.  Null when memory is exhausted.
[[nodiscard]] BareCarrier* get_bare_carrier(Role role, void (*run)(KernelThread& thread));

// Its kernel thread can't be started.
void give_back_bare_carrier(BareCarrier& bare);

[[nodiscard]] inline BareCarrier& bare_carrier_of(KernelThread& thread) {
  return reinterpret_cast<BareCarrier&>(thread);
}

[[nodiscard]] BareCarrier& bare_carrier_with(Carrier& carrier);

// The kernel thread makes itself a carrier.  False: it must not run fibers (SignalHooks::begin).
[[nodiscard]] bool begin_bare_carrier(Carrier& carrier);

// The kernel thread is about to end: it takes no signals any more, and what it has put off is
// somebody else's.
void stop_taking_signals(Carrier& carrier);

// Gives back what the kernel thread had for it, which ends now.
void end_bare_carrier(Carrier& carrier);

// The last of its steps: the carrier is another one's, with Role::ended until then.
void free_bare_carrier(Carrier& carrier);

void reset_bare_carriers_after_fork();

}  // namespace ramie::core

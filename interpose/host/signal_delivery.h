// How a signal reaches a thread's handler: by our handler in the kernel, and from what was sent to
// one thread alone.  Between the files of signals only; for others there is signal_state.h.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

#include "core/fiber.h"

namespace ramie::host {

struct Thread;

// The kernel's handler for all signals of the program.
void handle_signal(int signal, siginfo_t* info, void* context);

// Hands the thread's own signals outside of `mask` to the kernel, which delivers them as soon as it
// lets them in.  By the thread itself.
void raise_own(Thread& thread, uint64_t mask);

// The thread shall take this signal, which was sent to the process.  With all signals blocked.
void give(Thread& thread, int signal, const siginfo_t& info);

// What the thread was given, has not taken, and blocks now (or it ends): others shall take it.  The
// rest that is pending for it stays.
void give_back(Thread& thread, uint64_t signals);

// The thread has something pending: it is woken, or its carrier is kicked.
void reach(Thread& thread);

// A fiber whose call is made elsewhere takes no signal until that call ends.
[[nodiscard]] inline bool is_offloaded(const core::Fiber& fiber) {
  return fiber.reason.kind == core::WaitKind::offload;
}

void reset_delivery_after_fork();

}  // namespace ramie::host

// How a signal reaches a thread's handler: by our handler in the kernel, and from what was sent to
// one thread alone.  Between the files of signals only; for others there is signal_state.h.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

#include "core/fiber.h"
#include "core/signal_frame.h"

namespace ramie::host {

struct Thread;

// The kernel's handler for all signals of the program.
void handle_signal(int signal, siginfo_t* info, void* context);

// SIGSEGV, that of our own use of it is left: enters the program's handler.  False if the running
// thread blocks it.
[[nodiscard]] bool handle_fault(int signal, const siginfo_t& info, ucontext_t& context,
                                const core::SignalAction& action);

// Whether a signal that has come where `running` is goes to the first thread in preference.  Faults
// and SIGPIPE are of the thread that caused them.  Real-time signals queue up, and stay with the
// thread at which they arrived.
[[nodiscard]] bool is_for_first_thread(const core::Fiber& running, int signal,
                                       const siginfo_t& info);

// Death by a signal for which the kernel has our handler.
void die_by(int signal);

// Enters the handler of `action` on the fiber when our own returns to `context`.
void run_on_fiber(core::Fiber& fiber, Thread* thread, int signal, const siginfo_t& info,
                  ucontext_t& context, core::SignalAction action);

// If something outside of `mask` is pending for the thread, its handler is entered as soon as the
// kernel lets kicks in.  By the thread itself.  False if there is nothing.
bool raise_own(Thread& thread, uint64_t mask);

// The thread shall take this signal, which was sent to the process.  With all signals blocked.
void give(Thread& thread, int signal, const siginfo_t& info);

// What the thread was given, has not taken, and blocks now (or it ends): others shall take it.  The
// rest that is pending for it stays.
void give_back(Thread& thread, uint64_t signals);

// What core::interrupt() has asked of the thread is done, or has become pointless: no park ends
// because of it any more, unless something else is pending.  By the thread itself.
void settle_interruption(Thread& thread);

// The thread has something pending: it is woken, or its carrier is kicked.
void reach(Thread& thread);

// Sends the signal to the process once more.  With all signals blocked.
void send_again(int signal, const siginfo_t& info);

// From now on, signals of `set` that were sent to one thread go to the process where every thread
// blocks them, since a signalfd sees no others; also those that are pending for the caller
// (send_signal.cc), which is null where no thread of the program's calls.
void show_to_signalfd(Thread* caller, uint64_t set);

// Sends a signal to one thread, whose calls it interrupts (send_signal.cc).  0 or -errno. `is_kept`
// tells whether it is in the thread's queue, and not ignored, say.
[[nodiscard]] long send_to_thread(Thread& thread, int signal, const siginfo_t& info,
                                  bool* is_kept = nullptr);

// A fiber whose call is made elsewhere takes no signal until that call ends.
[[nodiscard]] inline bool is_offloaded(const core::Fiber& fiber) {
  return fiber.wait->reason.kind == core::WaitKind::offload;
}

void reset_delivery_after_fork();

}  // namespace ramie::host

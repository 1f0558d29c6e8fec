// Signals that were sent, but that the kernel can't keep back for us, since a carrier never blocks
// them: SIGSYS where it is the way into the table (user_dispatch.h), SIGSEGV where it is the trap
// of the FS base.  One that comes at a bad moment is held here until some thread takes it.
//
// No locks: such a signal may interrupt anything of ours, and anything may run when it does.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

#include "core/fiber.h"

namespace ramie::host {

struct Thread;

// Keeps one of either, as the kernel does with standard signals: what comes while one is held is
// the same signal.
void hold(int signal, const siginfo_t& info);

// Which are held.
[[nodiscard]] uint64_t held_signals();

// False if it is not held any more.
[[nodiscard]] bool take_held(int signal, siginfo_t& info);

// Such a signal was sent, and is here.  True: it comes at a bad moment, and is held; the carrier's
// loop finds a thread for it.
[[nodiscard]] bool put_off_sent(int signal, const siginfo_t& info, const ucontext_t& context);

// What is held and doesn't belong to `mask` becomes pending for the thread.  By the thread itself.
void take_over_held(Thread& thread, uint64_t mask);

void reset_held_after_fork();

}  // namespace ramie::host

// Calling a program's signal handler the way the kernel does: by a frame on the handler's stack.
//
// A handler of ours runs on the carrier's own alternate stack, where no code of the program may
// run: the next fault on that carrier would start at the top of it again, over whatever a
// switched-away handler had left.  So our handler builds the program's frame on the fiber's stack
// and returns into it.  The program's handler may then switch, jump out, unwind, or return, as it
// does natively.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstdint>

namespace ramie::core {

// As rt_sigaction(2) has it, which isn't libc's layout.
struct SignalAction {
  uintptr_t handler = 0;  // SIG_DFL is 0, SIG_IGN is 1
  unsigned long flags = 0;
  uintptr_t restorer = 0;
  uint64_t mask = 0;

  [[nodiscard]] bool has_handler() const { return handler > 1; }
  bool operator==(const SignalAction&) const = default;
};

[[nodiscard]] constexpr uint64_t signal_bit(int signal) { return 1UL << (signal - 1); }

// An alternate stack, as sigaltstack(2) describes it; size 0: there is none.
struct AlternateStack {
  uintptr_t base = 0;
  size_t size = 0;

  [[nodiscard]] bool holds(uintptr_t address) const { return address - base < size; }
};

// Builds the frame of `action`'s handler for `signal` and changes `context`, the one that our own
// handler got, so that returning from it enters the program's handler with the signals of `mask`
// blocked.  When that handler returns, the program continues where `context` was, with the mask
// that `context` had.  The frame lies on `alternate` if the action asks for it, else below the red
// zone of the interrupted stack; writing to a stack that has no room faults.
void push_signal_frame(ucontext_t& context, int signal, const siginfo_t& info,
                       const SignalAction& action, const AlternateStack& alternate, uint64_t mask);

// For our own rt_sigaction calls: flags get kSaRestorer, restorer this.
inline constexpr unsigned long kSaRestorer = 0x04000000;
uintptr_t signal_restorer();

// rt_sigaction(2), where either may be null.  0 or -errno.
long kernel_sigaction(int signal, const SignalAction* action, SignalAction* before);

// The kernel's signal mask in a context (libc's type for it is longer than the kernel's).
uint64_t context_mask(const ucontext_t& context);
void set_context_mask(ucontext_t& context, uint64_t mask);

}  // namespace ramie::core

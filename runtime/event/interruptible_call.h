// One system call of a helper thread that another thread can interrupt without losing a race.
//
// A signal that arrives just before the call enters the kernel would be too early to interrupt it.
// So the handler looks where the thread is: between the look at the flag and the system call's
// instruction, that one included (there the thread is also when the kernel is about to restart the
// call), it sends it to the way out. The handler is the shim's for a signal that glibc keeps for
// itself; a program without the shim interrupts no such call.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <atomic>
#include <cstdint>

namespace ramie::event {

// Makes the call, unless `interrupted` is set first: then, and when interrupt_call() ends it early,
// the result is -EINTR.
[[nodiscard]] long interruptible_call(const std::atomic<uint32_t>& interrupted, long number,
                                      const long arguments[6]);

// On a thread that has everything blocked, before it makes such calls.
void let_interruptions_in();

// For the thread `tid` of this process, after `interrupted` was set.
void interrupt_call(int tid);

// In the handler of the internal signal: true if the signal is interrupt_call()'s, and is dealt
// with. On a helper, whose thread-locals are nobody's.
bool handle_interrupt(const siginfo_t& info, ucontext_t& context);

}  // namespace ramie::event

// The process's SIGSEGV handler while carriers run.  A fault is, in this order:
//   1. the FS base's trap (tls.h): repaired, the program never learns of it;
//   2. a fiber that ran off its stack: one line that names it, then death by SIGSEGV;
//   3. the program's: its own action is carried out as the kernel would, the default included.
//
// The program's action is kept here, since the kernel's is ours: whoever emulates sigaction(2) asks
// owns() first.
#pragma once

#include <signal.h>
#include <ucontext.h>

#include <cstddef>
#include <cstdint>

#include "core/signal_frame.h"

namespace ramie::core::fault {

// A fiber whose guard was touched.
struct Overflow {
  uint64_t fiber = 0;
  const char* name = "";  // may be empty
  size_t stack_size = 0;
  bool hosted = false;  // its stack has the size that the program asked pthread_create for
};

// What other parts know.  Called from the handler on a carrier, on its alternate stack, with the
// thread-locals of the fiber in place: no lock, no allocation.  Each may be null.
struct Hooks {
  // Fills `out` if `address` is in the guard of a fiber's stack.
  bool (*describe_overflow)(uintptr_t address, Overflow& out) = nullptr;
  // The alternate stack of the calling fiber, as the program has set it.
  AlternateStack (*alternate_stack)() = nullptr;
  // A signal that was sent.  True: it comes at a bad moment, and somebody gets it later.
  bool (*put_off)(int signal, const siginfo_t& info, const ucontext_t& context) = nullptr;
  // Enters the program's handler on the calling fiber when our own returns to `context`, as
  // push_signal_frame() does.  False: the fiber blocks the fault, which is then its death.
  bool (*run_handler)(int signal, const siginfo_t& info, ucontext_t& context,
                      const SignalAction& action) = nullptr;
};

// `hooks` is kept by address.
void set_hooks(const Hooks* hooks);

// Takes SIGSEGV over; the action in force becomes the program's.  For any thread; once.  0 or
// -errno.
[[nodiscard]] int install();

// Gives the program's action back to the kernel (in a fork's child, which starts inert).
void uninstall();

// True while the kernel's action for `signal` is ours.
[[nodiscard]] bool owns(int signal);

// The program's action for an owned signal; setting it returns the one before.
[[nodiscard]] SignalAction application_action(int signal);
SignalAction set_application_action(int signal, const SignalAction& action);

// The part of `mask` that may really be blocked in the kernel: where a carrier may be in trap mode,
// a blocked SIGSEGV would kill the process at the next thread-local access.  never_block() adds a
// signal to those.
[[nodiscard]] uint64_t blockable(uint64_t mask);
void never_block(int signal);

// A carrier's alternate stack.
struct Thread {
  uintptr_t stack = 0;  // the bottom, above its guard page
  stack_t previous{};   // the kernel thread's before: the program's, where it is one of its threads
  uint64_t mask = 0;    // likewise
};

// On the carrier's kernel thread: maps its alternate stack and unblocks SIGSEGV.  0 or -errno.
[[nodiscard]] int start_thread(Thread& thread);

// Puts the previous alternate stack back.
void stop_thread(Thread& thread);

// The same, but what start_thread() needs is kept, for another kernel thread.
void rest_thread(Thread& thread);

}  // namespace ramie::core::fault

// Hosted threads that are bound to a kernel thread of their own (core/apart.h), since the program
// has set something for one of them that only a kernel thread can have.
#pragma once

#include "core/apart.h"
#include "interpose/host/thread.h"

namespace ramie::host {

// A system call that sets how one thread is run: argument `which` is the thread's id.  Or none,
// where something else has changed by which the thread needs a kernel thread of its own, or no
// longer does.
struct Change {
  static constexpr long kNoCall = -1;

  long number;
  const long* arguments;
  int which;
  const char* what;  // for the log
};

// Makes it for the thread whose id is `tid`.  Once the kernel has agreed, the thread is bound to
// the kernel thread for which the call was made, unless that is run as the crew's are.  On a
// fiber, in a RuntimeSection; may switch.  Answers as the kernel does.
[[nodiscard]] long change_thread(Thread& thread, int tid, const Change& change);

// The kernel thread that answers for the thread; 0 stands for the caller's.
[[nodiscard]] int kernel_tid_of(const Thread& thread);

// The kernel thread that runs no other thread of the program; 0 where there is none, or where the
// id is another thread's by now.
[[nodiscard]] int own_kernel_tid(const Thread& thread, int tid);

// The calling thread runs on that one.
[[nodiscard]] bool is_on_own_kernel_thread(const Thread& thread);

// For a thread that `parent`, the caller, is about to start: a carrier of its own where the kernel
// hands on something that the crew's don't have, else null.
[[nodiscard]] core::Carrier* bequeath(Thread& parent);

// Whether `parent`, the caller, has a filter of system calls that the crew may not have.
[[nodiscard]] bool has_own_filter(const Thread& parent);

// The calling thread ends: its kernel thread does with it.
void release_binding(Thread& thread);

// The fiber that calls is bound to a carrier which isn't the one that runs it.
[[nodiscard]] bool is_away_from_home(const core::Fiber& fiber);

void reset_bindings_after_fork();

}  // namespace ramie::host

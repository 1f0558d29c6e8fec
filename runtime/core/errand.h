// Kernel threads that the watchdog starts for others, since its own kernel thread has what the
// crew's have: descriptors, namespaces, a name.
#pragma once

#include "core/kernel_thread.h"

namespace ramie::core {

// start_kernel_thread(), called by the watchdog, whose own kernel thread has what the crew's have.
// Where there is no watchdog, the caller calls it.
[[nodiscard]] int start_by_watchdog(KernelThread& thread);

// The watchdog's kernel thread: starts the one that somebody waits for, if any.
void run_errand();

void reset_errands_after_fork();

}  // namespace ramie::core

// Kernel threads that do nothing but enter the kernel for others: raw clones with a small stack and
// no thread control block of their own.
//
// They are no threads of libc: what runs on one may use ramie::sys, base::Lock and atomics, and
// nothing that touches a thread-local (the FS base is whatever the creator's was).
#pragma once

#include <atomic>
#include <cstdint>

namespace ramie::event {

struct HelperThread {
  // The kernel's id of the thread; 0 when there is none, or when it has left its stack for good
  // (the kernel clears the word, CLONE_CHILD_CLEARTID).
  std::atomic<uint32_t> tid = 0;
  char* stack = nullptr;  // kept for the next thread of this slot
  void (*run)(HelperThread& self) = nullptr;
  uint32_t generation = 0;  // for run()
};

// Starts a thread that calls thread.run(thread) and ends, with all signals blocked.  The slot has
// no thread.  0 or -errno.
[[nodiscard]] int start_helper(HelperThread& thread);

}  // namespace ramie::event

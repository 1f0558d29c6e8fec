// Kernel threads of Ramie's own that run no code of the program: raw clones, with all signals
// blocked.
//
// They are no threads of libc: what runs on one may use ramie::sys, base::Lock and atomics. Without
// a thread control block of its own it may touch no thread-local either (the FS base is whatever
// the creator's was); with one (bare_tcb.h) it may ask for core::current().
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ramie::core {

struct KernelThread {
  // The kernel's id of the thread; 0 when there is none, or when it has left its stack for good
  // (the kernel clears the word, CLONE_CHILD_CLEARTID).
  std::atomic<uint32_t> tid = 0;
  char* stack = nullptr;  // kept for the next thread of this slot
  size_t stack_size = 16UL * 1024;
  uintptr_t fs_base = 0;  // of its own thread control block, if it has one
  void (*run)(KernelThread& self) = nullptr;
  uint32_t generation = 0;  // for run()
};

// Starts a thread that calls thread.run(thread) and ends.  The slot has no thread.  0 or -errno.
[[nodiscard]] int start_kernel_thread(KernelThread& thread);

}  // namespace ramie::core

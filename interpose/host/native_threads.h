// Threads that RAMIE_NATIVE leaves to the kernel in a program whose others are fibers: by the
// library in which they begin.
#pragma once

#include <linux/sched.h>

#include <cstdint>

namespace ramie::host {

// Whether the thread that starts in this function, with this argument, shall be the kernel's.  On
// the creating thread, outside of the runtime.
[[nodiscard]] bool begins_in_native_library(const void* start, const void* argument);

// While one lives, the calling thread makes a native thread, if any.
class NativeThreadAhead {
 public:
  explicit NativeThreadAhead(bool is_native);
  ~NativeThreadAhead();
  NativeThreadAhead(const NativeThreadAhead&) = delete;
  NativeThreadAhead& operator=(const NativeThreadAhead&) = delete;
};

// For clone3: what this thread makes now is a native one.  So are those that native ones make.
[[nodiscard]] bool is_native_thread_ahead();

// clone3(2) as glibc calls it: the new thread calls start(argument).  The id, or -errno.
[[nodiscard]] long start_native_thread(const clone_args& args, void* (*start)(void*),
                                       void* argument);

// Whether the caller is one.
[[nodiscard]] bool is_native_thread();

// The caller, a native thread, ends (clone.cc).
long end_native_thread(long status);

// Whether there has been any.
[[nodiscard]] bool has_native_threads();

// Whether this word is a native thread's id, which the kernel clears and wakes as the thread ends.
[[nodiscard]] bool is_native_id(const void* word);

// From here on it is, of a kernel thread that the program makes itself.  False if too many are.
bool note_native_id(const void* word);

// A hosted thread has its id there now.
void forget_native_id(const void* word);

}  // namespace ramie::host

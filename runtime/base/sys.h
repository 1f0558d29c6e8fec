// Raw system calls: the only way in which Ramie enters the kernel.
//
// Ramie exports functions named read, close, poll and so on, so its own code can't call those names
// without coming back to itself.  Nothing here touches errno or any other thread-local: results are
// the kernel's, -errno on failure (man 2 syscall, "Architecture calling conventions").
#pragma once

#include <sys/syscall.h>

#include <cerrno>
#include <cstddef>
#include <cstdint>

#if !defined(__x86_64__)
#error "Ramie supports x86-64 only; add base/sys_<cpu>.h for another CPU."
#endif

// Newer than the oldest header that we compile with.
#ifndef SYS_futex_wake
// NOLINTBEGIN(readability-identifier-naming): the kernel's names
#define SYS_futex_wake 454
#define SYS_futex_wait 455
#define SYS_futex_requeue 456
// NOLINTEND(readability-identifier-naming)
#endif

namespace ramie::sys {

// What an interrupted, restartable operation answers (the kernel's own ERESTARTSYS, which programs
// never see): the dispatcher runs the signal's handler and then restarts the call or makes it
// EINTR.
inline constexpr long kRestart = -512;
// What a handler of class `block` (interpose/syscalls.def) answers where the kernel shall make the
// call as it is.  No error number of the kernel's.
inline constexpr long kPassOn = -4000;

// The kernel's answer for a failed call is in [-4095, -1].
[[nodiscard]] constexpr bool failed(long result) { return result < 0 && result >= -4095; }

// Inlined in every build: handlers make calls where a sanitizer's code must not run.
[[gnu::always_inline]] inline long call(long number, long a = 0, long b = 0, long c = 0, long d = 0,
                                        long e = 0, long f = 0) {
  long result;
  register long r10 asm("r10") = d;
  register long r8 asm("r8") = e;
  register long r9 asm("r9") = f;
  asm volatile("syscall"
               : "=a"(result)
               : "a"(number), "D"(a), "S"(b), "d"(c), "r"(r10), "r"(r8), "r"(r9)
               : "rcx", "r11", "memory");
  return result;
}

// For a call with two arguments in a place where registers are scarce.
inline long call_with_two(long number, long a, long b) {
  long result;
  asm volatile("syscall" : "=a"(result) : "a"(number), "D"(a), "S"(b) : "rcx", "r11", "memory");
  return result;
}

// For arguments that are pointers.
template <class T>
[[gnu::always_inline]] inline long arg(T* pointer) {
  return reinterpret_cast<long>(pointer);
}

[[gnu::always_inline]] inline int gettid() { return static_cast<int>(call(SYS_gettid)); }

inline int getpid() { return static_cast<int>(call(SYS_getpid)); }

}  // namespace ramie::sys

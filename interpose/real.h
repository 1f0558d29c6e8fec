// libc's own functions, for the exported names that stand before them.
//
// Bound in a constructor, all at once: dlsym() takes locks and may allocate, which no call in the
// middle of the program can afford.  Until then, and for a function that this libc doesn't have, a
// pointer is null and the caller makes the system call itself: other constructors, allocators above
// all, run before ours.
#pragma once

#include <dlfcn.h>

#include "interpose/types.h"

namespace ramie::interpose {

struct Real {
#define REAL(returns, name, parameters) returns(*name) parameters = nullptr;
#include "interpose/real.gen.h"
#undef REAL

  // What libc keeps of a thread, above its FS base, as told to debuggers; see nptl_db(3).
  const unsigned* thread_size = nullptr;

  // Which object has that address in it; since glibc 2.35.  It takes no lock.
  int (*find_object)(void* address, dl_find_object* result) = nullptr;
};

extern Real real;

// What the constructor does, for a library whose constructor comes before ours and makes a thread.
void bind_all();

// For those that must not do without.
inline const Real& bound() {
  if (real.pthread_create == nullptr) [[unlikely]] {
    bind_all();
  }
  return real;
}

}  // namespace ramie::interpose

// clone(3), libc's function, as programs call it themselves.  (What libc does with clone(2) inside
// itself: clone.cc, fork.cc, lend.h.)
#pragma once

#include <sys/types.h>

namespace ramie::host {

// Its arguments.
struct CloneCall {
  int (*function)(void*);
  void* stack;  // where it ends
  int flags;
  void* argument;
  pid_t* parent_tid;
  void* tls;
  pid_t* child_tid;
};

using CloneFunction = int (*)(int (*)(void*), void*, int, void*, pid_t*, void*, pid_t*);

// The child's id, or -1 and errno.  `libc` is the function that we stand before.  Any thread.
int clone_function(CloneFunction libc, const CloneCall& call);

}  // namespace ramie::host

// For the exported names that are written by hand.
//
// A name is the assembler's label of a function with another C++ name, so that it can't clash with
// libc's declaration of the same function.
#pragma once

#include "base/sys.h"
#include "interpose/host/entry.h"
#include "interpose/real.h"

#define RAMIE_EXPORT extern "C" __attribute__((visibility("default"), used))

namespace ramie::interpose {

// Whether the caller is to be passed on to libc's own function: always, but on a light fiber, and
// before the function is known.
template <class Function>
[[nodiscard]] bool passes_on(Function* function) {
  return function != nullptr && !host::on_light_fiber();
}

// The system call instead.
template <class... Arguments>
long call_instead(long number, Arguments... arguments) {
  return host::on_light_fiber() ? host::call(number, arguments...)
                                : sys::call(number, arguments...);
}

// What ppoll and its checked form share (polling.cc).
int ppoll_unchecked(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask);

}  // namespace ramie::interpose

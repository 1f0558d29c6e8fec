// ppoll, pselect.  The kernel writes what is left of the time-out back, and these two must not.
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

RAMIE_EXPORT int symbol_ppoll(pollfd* fds, nfds_t count, const timespec* timeout,
                              const sigset_t* mask) __asm__("ppoll");
RAMIE_EXPORT int symbol_pselect(int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
                                const timespec* timeout, const sigset_t* mask) __asm__("pselect");

namespace {

constexpr long kSignalSetSize = 8;  // the kernel's, not libc's

}  // namespace

int interpose::ppoll_unchecked(pollfd* fds, nfds_t count, const timespec* timeout,
                               const sigset_t* mask) {
  if (passes_on(real.ppoll)) {
    return real.ppoll(fds, count, timeout, mask);
  }
  timespec copy = timeout != nullptr ? *timeout : timespec{};
  return static_cast<int>(host::finish(
      call_instead(SYS_ppoll, sys::arg(fds), static_cast<long>(count),
                   timeout != nullptr ? sys::arg(&copy) : 0, sys::arg(mask), kSignalSetSize)));
}

int symbol_ppoll(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask) {
  return ppoll_unchecked(fds, count, timeout, mask);
}

int symbol_pselect(int count, fd_set* readable, fd_set* writable, fd_set* exceptional,
                   const timespec* timeout, const sigset_t* mask) {
  if (passes_on(real.pselect)) {
    return real.pselect(count, readable, writable, exceptional, timeout, mask);
  }
  timespec copy = timeout != nullptr ? *timeout : timespec{};
  struct {
    const sigset_t* set;
    long size;
  } argument = {mask, kSignalSetSize};
  return static_cast<int>(host::finish(call_instead(
      SYS_pselect6, count, sys::arg(readable), sys::arg(writable), sys::arg(exceptional),
      timeout != nullptr ? sys::arg(&copy) : 0, sys::arg(&argument))));
}

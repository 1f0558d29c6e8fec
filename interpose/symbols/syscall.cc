// syscall(2), by which Rust's library, libstdc++'s atomic waits and jemalloc enter the kernel.  Any
// number is passed on, with six words, whether the call takes them or not.
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

RAMIE_EXPORT long symbol_syscall(long number, long a, long b, long c, long d, long e,
                                 long f) __asm__("syscall");

long symbol_syscall(long number, long a, long b, long c, long d, long e, long f) {
  // A patched site, like the others.  Optimised, this is a jump: nothing of ours is on the stack.
  if (passes_on(real.syscall)) [[likely]] {
    return real.syscall(number, a, b, c, d, e, f);
  }
  return host::finish(call_instead(number, a, b, c, d, e, f));
}

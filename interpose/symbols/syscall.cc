// syscall(2), by which Rust's library, libstdc++'s atomic waits and jemalloc enter the kernel.  Any
// number is passed on, with six words, whether the call takes them or not.
#include <sys/syscall.h>

#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

RAMIE_EXPORT long symbol_syscall(long number, long a, long b, long c, long d, long e,
                                 long f) __asm__("syscall");

long symbol_syscall(long number, long a, long b, long c, long d, long e, long f) {
  // Among these are all that change credentials.
  if (static_cast<unsigned long>(number - SYS_setuid) <= SYS_setresgid - SYS_setuid) [[unlikely]] {
    const long arguments[6] = {a, b, c, d, e, f};
    long result = host::change_own_credentials(number, arguments);
    if (result != sys::kPassOn) {
      return host::finish(result);
    }
  }
  // A patched site, like the others.  Optimised, this is a jump: nothing of ours is on the stack.
  if (passes_on(real.syscall)) [[likely]] {
    return real.syscall(number, a, b, c, d, e, f);
  }
  return host::finish(call_instead(number, a, b, c, d, e, f));
}

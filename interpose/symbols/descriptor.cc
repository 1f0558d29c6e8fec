// fcntl, closefrom.
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

// The third argument may be missing, an int or a pointer; as a word it is all of them.
RAMIE_EXPORT int symbol_fcntl(int fd, int command, long argument) __asm__("fcntl");
RAMIE_EXPORT int symbol_fcntl64(int fd, int command, long argument) __asm__("fcntl64")
    __attribute__((alias("fcntl")));
RAMIE_EXPORT int symbol_hidden_fcntl(int fd, int command, long argument) __asm__("__fcntl")
    __attribute__((alias("fcntl")));
RAMIE_EXPORT void symbol_closefrom(int first) __asm__("closefrom");

int symbol_fcntl(int fd, int command, long argument) {
  if (passes_on(real.fcntl)) {
    return real.fcntl(fd, command, argument);
  }
  return static_cast<int>(host::finish(call_instead(SYS_fcntl, fd, command, argument)));
}

void symbol_closefrom(int first) {
  if (passes_on(real.closefrom)) {
    real.closefrom(first);
    return;
  }
  (void)call_instead(SYS_close_range, first > 0 ? first : 0, ~0U, 0);
}

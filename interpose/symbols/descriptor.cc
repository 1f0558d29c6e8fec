// fcntl, closefrom, eventfd_read, eventfd_write.
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
RAMIE_EXPORT int symbol_eventfd_read(int fd, eventfd_t* value) __asm__("eventfd_read");
RAMIE_EXPORT int symbol_eventfd_write(int fd, eventfd_t value) __asm__("eventfd_write");

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

int symbol_eventfd_read(int fd, eventfd_t* value) {
  if (passes_on(real.eventfd_read)) {
    return real.eventfd_read(fd, value);
  }
  long size = host::finish(call_instead(SYS_read, fd, sys::arg(value), sizeof *value));
  return size == sizeof *value ? 0 : -1;
}

int symbol_eventfd_write(int fd, eventfd_t value) {
  if (passes_on(real.eventfd_write)) {
    return real.eventfd_write(fd, value);
  }
  long size = host::finish(call_instead(SYS_write, fd, sys::arg(&value), sizeof value));
  return size == sizeof value ? 0 : -1;
}

// open, openat: a FIFO waits for its other end.
#include <fcntl.h>

#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

// The mode may be missing; then what the register holds is passed on, as libc's own would not look.
RAMIE_EXPORT int symbol_open(const char* path, int flags, mode_t mode) __asm__("open");
RAMIE_EXPORT int symbol_open64(const char* path, int flags, mode_t mode) __asm__("open64")
    __attribute__((alias("open")));
RAMIE_EXPORT int symbol_hidden_open(const char* path, int flags, mode_t mode) __asm__("__open")
    __attribute__((alias("open")));
RAMIE_EXPORT int symbol_hidden_open64(const char* path, int flags, mode_t mode) __asm__("__open64")
    __attribute__((alias("open")));
RAMIE_EXPORT int symbol_openat(int directory, const char* path, int flags,
                               mode_t mode) __asm__("openat");
RAMIE_EXPORT int symbol_openat64(int directory, const char* path, int flags,
                                 mode_t mode) __asm__("openat64") __attribute__((alias("openat")));

namespace {

mode_t mode_of(int flags, mode_t mode) {
  return (flags & O_CREAT) != 0 || (flags & O_TMPFILE) == O_TMPFILE ? mode : 0;
}

}  // namespace

int symbol_open(const char* path, int flags, mode_t mode) {
  mode = mode_of(flags, mode);
  if (passes_on(real.open)) {
    return real.open(path, flags, mode);
  }
  return static_cast<int>(
      host::finish(call_instead(SYS_openat, AT_FDCWD, sys::arg(path), flags, mode)));
}

int symbol_openat(int directory, const char* path, int flags, mode_t mode) {
  mode = mode_of(flags, mode);
  if (passes_on(real.openat)) {
    return real.openat(directory, path, flags, mode);
  }
  return static_cast<int>(
      host::finish(call_instead(SYS_openat, directory, sys::arg(path), flags, mode)));
}

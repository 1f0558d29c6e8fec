// The forms that _FORTIFY_SOURCE makes of read, recv and poll: with the size of the buffer, which
// is checked first.
#include "interpose/symbols/symbol.h"

using namespace ramie;
using namespace ramie::interpose;

// libc's: "*** buffer overflow detected ***".
extern "C" [[noreturn]] void __chk_fail();

RAMIE_EXPORT ssize_t symbol_read_chk(int fd, void* buffer, size_t size,
                                     size_t room) __asm__("__read_chk");
RAMIE_EXPORT ssize_t symbol_pread_chk(int fd, void* buffer, size_t size, off_t offset,
                                      size_t room) __asm__("__pread_chk");
RAMIE_EXPORT ssize_t symbol_pread64_chk(int fd, void* buffer, size_t size, off_t offset,
                                        size_t room) __asm__("__pread64_chk")
    __attribute__((alias("__pread_chk")));
RAMIE_EXPORT ssize_t symbol_recv_chk(int fd, void* buffer, size_t size, size_t room,
                                     int flags) __asm__("__recv_chk");
RAMIE_EXPORT ssize_t symbol_recvfrom_chk(int fd, void* buffer, size_t size, size_t room, int flags,
                                         sockaddr* address,
                                         socklen_t* length) __asm__("__recvfrom_chk");
RAMIE_EXPORT int symbol_poll_chk(pollfd* fds, nfds_t count, int timeout,
                                 size_t room) __asm__("__poll_chk");
RAMIE_EXPORT int symbol_ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout,
                                  const sigset_t* mask, size_t room) __asm__("__ppoll_chk");

namespace {

// For two exported names. Neither calls the other: such a call would go to whoever comes first in
// the program's lookup order.
ssize_t receive(int fd, void* buffer, size_t size, size_t room, int flags, sockaddr* address,
                socklen_t* length) {
  if (size > room) {
    __chk_fail();
  }
  if (passes_on(real.recvfrom)) {
    return real.recvfrom(fd, buffer, size, flags, address, length);
  }
  return host::finish(call_instead(SYS_recvfrom, fd, sys::arg(buffer), static_cast<long>(size),
                                   flags, sys::arg(address), sys::arg(length)));
}

}  // namespace

ssize_t symbol_read_chk(int fd, void* buffer, size_t size, size_t room) {
  if (size > room) {
    __chk_fail();
  }
  if (passes_on(real.read)) {
    return real.read(fd, buffer, size);
  }
  return host::finish(call_instead(SYS_read, fd, sys::arg(buffer), static_cast<long>(size)));
}

ssize_t symbol_pread_chk(int fd, void* buffer, size_t size, off_t offset, size_t room) {
  if (size > room) {
    __chk_fail();
  }
  if (passes_on(real.pread)) {
    return real.pread(fd, buffer, size, offset);
  }
  return host::finish(
      call_instead(SYS_pread64, fd, sys::arg(buffer), static_cast<long>(size), offset));
}

ssize_t symbol_recvfrom_chk(int fd, void* buffer, size_t size, size_t room, int flags,
                            sockaddr* address, socklen_t* length) {
  return receive(fd, buffer, size, room, flags, address, length);
}

ssize_t symbol_recv_chk(int fd, void* buffer, size_t size, size_t room, int flags) {
  return receive(fd, buffer, size, room, flags, nullptr, nullptr);
}

int symbol_poll_chk(pollfd* fds, nfds_t count, int timeout, size_t room) {
  if (count > room / sizeof *fds) {
    __chk_fail();
  }
  if (passes_on(real.poll)) {
    return real.poll(fds, count, timeout);
  }
  return static_cast<int>(
      host::finish(call_instead(SYS_poll, sys::arg(fds), static_cast<long>(count), timeout)));
}

int symbol_ppoll_chk(pollfd* fds, nfds_t count, const timespec* timeout, const sigset_t* mask,
                     size_t room) {
  if (count > room / sizeof *fds) {
    __chk_fail();
  }
  return ppoll_unchecked(fds, count, timeout, mask);
}

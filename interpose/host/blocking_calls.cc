#include "interpose/host/blocking_calls.h"

#include <asm/termbits.h>
#include <linux/io_uring.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <time.h>

#include "core/blocking.h"
#include "interpose/host/entry.h"
#include "interpose/host/passed_call.h"

namespace ramie::host {
namespace {

// A time-out of null waits for ever.
bool is_zero(const timespec* timeout) {
  return timeout != nullptr && timeout->tv_sec == 0 && timeout->tv_nsec == 0;
}

// Those which wait until a slow line has taken what was written; tcsendbreak takes its time too.
bool is_for_a_line(unsigned long request) {
  return request == TCSBRK || request == TCSBRKP || request == TCSETSW || request == TCSETSF;
}

bool waits(long number, const long* a) {
  switch (number) {
    case SYS_io_getevents:
    case SYS_io_pgetevents:
      return a[1] > 0 && !is_zero(reinterpret_cast<const timespec*>(a[4]));
    case SYS_io_uring_enter:
      return a[2] > 0 && (a[3] & IORING_ENTER_GETEVENTS) != 0;
    case SYS_io_uring_register:
      return static_cast<unsigned>(a[1]) == IORING_REGISTER_SYNC_CANCEL;
    case SYS_ioctl:
      return is_for_a_line(static_cast<unsigned long>(a[1]));
    default:
      return true;
  }
}

}  // namespace

long make_blocking_call(long number, const long* arguments) {
  core::Fiber* fiber = core::current();
  if (fiber == nullptr || fiber->host == nullptr || !waits(number, arguments)) {
    return kernel(number, arguments);
  }
  core::Blocking section(*fiber->carrier);
  return passed_call(number, arguments);
}

}  // namespace ramie::host

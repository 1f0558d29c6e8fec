// flock, and fcntl with F_SETLKW or F_OFD_SETLKW.
//
// The lock is asked for without waiting; if somebody holds it, a helper thread waits.  It may:
// these locks belong to the process or to the open file description, never to a thread.
#include <fcntl.h>
#include <sys/file.h>

#include "base/sys.h"
#include "event/own_descriptors.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/ops/descriptor.h"
#include "interpose/ops/ops.h"

namespace ramie::ops {
namespace {

long lock_record(const long* a, long without_waiting) {
  long result = sys::call(SYS_fcntl, a[0], without_waiting, a[2]);
  return result == -EAGAIN || result == -EACCES ? offload_and_restart(SYS_fcntl, a) : result;
}

}  // namespace

long flock(const long* a) {
  long result = sys::call(SYS_flock, a[0], a[1] | LOCK_NB);
  return result == -EWOULDBLOCK && (a[1] & LOCK_NB) == 0 ? offload_and_restart(SYS_flock, a)
                                                         : result;
}

long fcntl(const long* a) {
  if (event::is_ours(static_cast<int>(a[0]))) {
    return -EBADF;
  }
  switch (static_cast<int>(a[1])) {
    case F_SETLKW:
      return lock_record(a, F_SETLK);
    case F_OFD_SETLKW:
      return lock_record(a, F_OFD_SETLK);
    case F_DUPFD:
    case F_DUPFD_CLOEXEC: {
      long result = sys::call(SYS_fcntl, a[0], a[1], a[2]);
      if (!sys::failed(result)) {
        forget(static_cast<int>(result));
      }
      return result;
    }
    case F_SETFL: {
      long result = sys::call(SYS_fcntl, a[0], a[1], a[2]);
      if ((a[2] & O_NONBLOCK) != 0) {
        blocking_sockets::note_setting();
      }
      return result;
    }
    default:
      return sys::call(SYS_fcntl, a[0], a[1], a[2]);
  }
}

}  // namespace ramie::ops

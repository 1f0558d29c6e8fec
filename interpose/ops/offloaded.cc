// Calls that wait for other processes or for a disk, and tell nobody when they could go on: a
// helper thread makes them.  None of them depends on which thread of the process makes it.
//
// Which of them a signal interrupts, and which are restarted after it: man 7 signal.
#include <sys/mman.h>

#include <cerrno>

#include "base/sys.h"
#include "event/offload.h"
#include "interpose/ops/ops.h"

namespace ramie::ops {

long offload_and_restart(long number, const long* a) {
  long result = event::offload_interruptibly(number, a);
  return result == -EINTR ? sys::kRestart : result;
}

// man 2 fsync, sync, msync
long fsync(const long* a) { return event::offload(SYS_fsync, a); }
long fdatasync(const long* a) { return event::offload(SYS_fdatasync, a); }
long sync(const long* a) { return event::offload(SYS_sync, a); }
long syncfs(const long* a) { return event::offload(SYS_syncfs, a); }
long msync(const long* a) {
  // MS_ASYNC starts nothing since Linux 2.6.19.
  return (a[2] & MS_SYNC) != 0 ? event::offload(SYS_msync, a)
                               : sys::call(SYS_msync, a[0], a[1], a[2]);
}
long sync_file_range(const long* a) { return event::offload(SYS_sync_file_range, a); }

// man 2 syslog: the kernel's log, of which reading alone waits.
long syslog(const long* a) {
  constexpr long kRead = 2;  // SYSLOG_ACTION_READ
  return a[0] == kRead ? event::offload_interruptibly(SYS_syslog, a)
                       : sys::call(SYS_syslog, a[0], a[1], a[2]);
}

}  // namespace ramie::ops

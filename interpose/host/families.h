// Families of system calls, which RAMIE_PATCH turns off: those are made by the kernel as they are,
// as if they were of class forward.  What threads need to be hosted belongs to no family.
#pragma once

#include <sys/syscall.h>

#include "base/config.h"
#include "base/sys.h"

namespace ramie::host {

// base::Family bits; 0 for a call that belongs to none.
[[nodiscard]] constexpr uint8_t family_of(long number) {
  using base::Family;
  switch (number) {
    case SYS_nanosleep:
    case SYS_clock_nanosleep:
      return bit(Family::sleep);
    case SYS_read:
    case SYS_write:
    case SYS_readv:
    case SYS_writev:
    case SYS_pread64:
    case SYS_preadv:
    case SYS_preadv2:
    case SYS_pwritev2:
    case SYS_sendfile:
    case SYS_splice:
    case SYS_tee:
    case SYS_vmsplice:
      return bit(Family::io);
    case SYS_recvfrom:
    case SYS_recvmsg:
    case SYS_recvmmsg:
    case SYS_sendto:
    case SYS_sendmsg:
    case SYS_sendmmsg:
    case SYS_accept:
    case SYS_accept4:
    case SYS_connect:
      return bit(Family::socket);
    case SYS_poll:
    case SYS_ppoll:
    case SYS_select:
    case SYS_pselect6:
    case SYS_epoll_wait:
    case SYS_epoll_pwait:
    case SYS_epoll_pwait2:
      return bit(Family::poll);
    case SYS_wait4:
    case SYS_waitid:
      return bit(Family::process);
    case SYS_open:
    case SYS_openat:
    case SYS_openat2:
    case SYS_creat:
    case SYS_open_by_handle_at:
    case SYS_fsync:
    case SYS_fdatasync:
    case SYS_sync:
    case SYS_syncfs:
    case SYS_msync:
    case SYS_sync_file_range:
    case SYS_syslog:
      return bit(Family::file);
    case SYS_flock:
    case SYS_fcntl:
      return bit(Family::lock);
    case SYS_semop:
    case SYS_semtimedop:
    case SYS_msgsnd:
    case SYS_msgrcv:
    case SYS_mq_timedsend:
    case SYS_mq_timedreceive:
      return bit(Family::ipc);
    default:
      return 0;
  }
}

// By which fibers wait for each other, or are woken.
[[nodiscard]] constexpr bool is_futex(long number) {
  return number == SYS_futex || number == SYS_futex_wake || number == SYS_futex_requeue;
}

// Calls that wait and yet can't be off: how hosted threads wait for each other, and for signals.
[[nodiscard]] constexpr bool is_of_threads(long number) {
  return number == SYS_futex || number == SYS_sched_yield || number == SYS_pause ||
         number == SYS_rt_sigsuspend || number == SYS_rt_sigtimedwait;
}

}  // namespace ramie::host

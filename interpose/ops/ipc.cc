// Semaphores and message queues of System V, and message queues of POSIX, man 2 semop, msgop,
// mq_timedsend, mq_timedreceive.  What can be done at once is; else a helper thread waits.
//
// None of them depends on which thread of the process makes it (the undo lists of semop belong to
// the process, whose threads are made with CLONE_SYSVSEM).
#include <sys/ipc.h>
#include <sys/sem.h>
#include <time.h>

#include <cerrno>
#include <cstring>

#include "base/deadline.h"
#include "base/sys.h"
#include "event/offload.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {
namespace {

constexpr long kMostOperations = 16;  // of one semop that is tried

// A timespec that the kernel takes, or none.
bool is_sound_time(long address) {
  timespec time{};
  return address == 0 || (copy_in(time, address) && base::is_valid(time));
}

// With its operations told not to wait.  False: it has to wait, or wasn't tried.
bool try_semop(const long* a, long& result) {
  long count = a[2];
  sembuf operations[kMostOperations];
  if (count < 1 || count > kMostOperations || !looks_mapped(a[1])) {
    return false;
  }
  memcpy(operations, reinterpret_cast<const void*>(a[1]),
         static_cast<size_t>(count) * sizeof(sembuf));
  int all_flags = IPC_NOWAIT;
  for (long i = 0; i < count; ++i) {
    all_flags &= operations[i].sem_flg;
    operations[i].sem_flg |= IPC_NOWAIT;
  }
  result = sys::call(SYS_semop, a[0], sys::arg(operations), count);
  return result != -EAGAIN || all_flags != 0;
}

// A System V call whose flags are its argument `flags`, and which answers `none` where it would
// have to wait.
long without_wait(long number, const long* a, size_t flags, long none) {
  long changed[5] = {a[0], a[1], a[2], a[3], a[4]};
  changed[flags] |= IPC_NOWAIT;
  long result = sys::call(number, changed[0], changed[1], changed[2], changed[3], changed[4]);
  return result == none && (a[flags] & IPC_NOWAIT) == 0 ? event::offload_interruptibly(number, a)
                                                        : result;
}

// An end that has passed counts only where the call would have to wait; one that makes no sense is
// refused in any case.
long mq_without_wait(long number, const long* a) {
  constexpr timespec kPassed{};
  long result = is_sound_time(a[4]) ? sys::call(number, a[0], a[1], a[2], a[3], sys::arg(&kPassed))
                                    : -ETIMEDOUT;
  return result == -ETIMEDOUT ? offload_and_restart(number, a) : result;
}

}  // namespace

long semop(const long* a) {
  long result = 0;
  return try_semop(a, result) ? result : event::offload_interruptibly(SYS_semop, a);
}

long semtimedop(const long* a) {
  long result = 0;
  return is_sound_time(a[3]) && try_semop(a, result)
             ? result
             : event::offload_interruptibly(SYS_semtimedop, a);
}

long msgsnd(const long* a) { return without_wait(SYS_msgsnd, a, 3, -EAGAIN); }
long msgrcv(const long* a) { return without_wait(SYS_msgrcv, a, 4, -ENOMSG); }

long mq_timedsend(const long* a) { return mq_without_wait(SYS_mq_timedsend, a); }
long mq_timedreceive(const long* a) { return mq_without_wait(SYS_mq_timedreceive, a); }

}  // namespace ramie::ops

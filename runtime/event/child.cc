#include "event/child.h"

#include <sys/wait.h>

#include <algorithm>
#include <cerrno>
#include <new>

#include "base/intrusive_list.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/park.h"
#include "event/helper_pool.h"
#include "event/io_uring_ops.h"
#include "event/own_descriptors.h"
#include "event/reactor.h"

namespace ramie::event {
namespace {

using base::Deadline;
using base::Lock;
using base::LockGuard;
using core::Wake;

constexpr int kPidfdType = 3;  // P_PIDFD, which glibc has since 2.36 only
constexpr int kMaxWatches = 16;
// Where neither a pidfd nor a helper can be had, the caller looks again this often.
constexpr int64_t kLookAgain = 10'000'000;

struct Waiter : base::ListLink {
  core::Ticket ticket;
};

// One waitid() on a helper thread, and the fibers that wait for its outcome.  It can't be cut
// short, and need not be: it reaps nobody, so when its waiters have gone it just stays until a
// child changes its state, or for the next fiber that waits for the same.
struct Watch : HelperJob {
  bool in_use;
  base::IntrusiveList<Waiter> waiters;
};

constinit Lock lock;
constinit Watch watches[kMaxWatches] RAMIE_GUARDED_BY(lock) = {};

void unlock(void*) RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); }

void on_finished(HelperJob& job) {
  auto& watch = static_cast<Watch&>(job);
  LockGuard guard(lock);
  while (Waiter* waiter = watch.waiters.pop_front()) {
    (void)core::unpark(waiter->ticket);
  }
  watch.in_use = false;
}

// For a call by another kernel thread than the fiber's: that has no children of its own, so that
// with __WNOTHREAD it would see none.
int options_of_call(int options) {
  options = (options & ~(WNOHANG | __WNOTHREAD)) | WNOWAIT;
  return (options & (WEXITED | WSTOPPED | WCONTINUED)) == 0 ? options | WEXITED : options;
}

// The watch for this, a new one if there is none; null if that is impossible.
Watch* watch_for(int idtype, id_t id, int options) RAMIE_REQUIRES(lock) {
  Watch* unused = nullptr;
  for (Watch& watch : watches) {
    const long* a = watch.arguments;
    if (!watch.in_use) {
      unused = &watch;
    } else if (a[0] == idtype && a[1] == static_cast<long>(id) && a[3] == options) {
      return &watch;
    }
  }
  if (unused != nullptr) {
    unused->number = SYS_waitid;
    unused->arguments[0] = idtype;
    unused->arguments[1] = static_cast<long>(id);
    unused->arguments[3] = options;
    unused->is_lasting = true;
    unused->finished = on_finished;
    unused->in_use = submit(*unused) == 0;
    return unused->in_use ? unused : nullptr;
  }
  return nullptr;
}

long wait_by_looking(Deadline deadline) {
  int64_t now = base::now();
  if (deadline.passed(now)) {
    return -ETIMEDOUT;
  }
  Deadline next = Deadline::after(now, kLookAgain);
  Wake wake = core::sleep_until(next < deadline ? next : deadline);
  return wake == Wake::interrupted ? -EINTR : 0;
}

long wait_by_helper(int idtype, id_t id, int options,
                    Deadline deadline) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  core::RuntimeSection section(*core::current());
  lock.lock();
  Watch* watch = watch_for(idtype, id, options);
  if (watch == nullptr) {
    lock.unlock();
    return wait_by_looking(deadline);
  }
  Waiter waiter;
  waiter.ticket = core::prepare_park();
  watch->waiters.push_back(&waiter);
  Wake wake = core::park({core::WaitKind::child, id}, deadline, {unlock, nullptr});
  if (wake == Wake::unparked) {
    return 0;
  }
  LockGuard guard(lock);
  if (waiter.linked()) {
    base::IntrusiveList<Waiter>::remove(&waiter);
  }
  return wake == Wake::interrupted ? -EINTR : -ETIMEDOUT;
}

// The result of a wait on a pidfd, or -ENOSYS when that isn't possible.
long wait_pidfd(int pidfd, Deadline deadline) {
  switch (long result = wait_fd(pidfd, POLLIN, deadline)) {
    case -EBADF:
      return 0;
    case 0:
    case -EINTR:
    case -ETIMEDOUT:
      return result;
    default:
      return -ENOSYS;
  }
}

long wait_process(pid_t pid, Deadline deadline) {
  int pidfd = keep(sys::call(SYS_pidfd_open, pid, 0));
  if (pidfd == -ESRCH) {
    return 0;  // reaped already: the caller's next try gets ECHILD
  }
  if (pidfd < 0) {
    return -ENOSYS;
  }
  long result = wait_pidfd(pidfd, deadline);
  forget(pidfd);
  discard(pidfd);
  return result;
}

}  // namespace

long wait_child(int idtype, id_t id, int options, Deadline deadline) {
  constexpr int kMoreThanExit = WSTOPPED | WCONTINUED | __WALL | __WCLONE | __WNOTHREAD;
  long result = -ENOSYS;
  if ((options & kMoreThanExit) == 0) {
    if (idtype == P_PID) {
      result = wait_process(static_cast<pid_t>(id), deadline);
    } else if (idtype == kPidfdType) {
      result = wait_pidfd(static_cast<int>(id), deadline);
    }
  }
  if (result != -ENOSYS) {
    return result;
  }
  if ((options & __WNOTHREAD) != 0) {
    // Another kernel thread's child, which the caller doesn't see, may be there all the time.
    constexpr int64_t kPause = 1'000'000;
    Deadline pause = std::min(deadline, Deadline::after(base::now(), kPause));
    if (core::sleep_until(pause) == core::Wake::interrupted) {
      return -EINTR;
    }
  }
  options = options_of_call(options);
  result = uring_wait_child(idtype, id, options, deadline);
  if (result == -ENOSYS) {
    return wait_by_helper(idtype, id, options, deadline);
  }
  return result == -EINTR || result == -ETIMEDOUT ? result : 0;
}

void reset_child_waits() {
  lock.reset();
  LockGuard guard(lock);
  for (Watch& watch : watches) {
    watch.in_use = false;
    new (&watch.waiters) base::IntrusiveList<Waiter>;  // they are fibers of the parent
  }
}

}  // namespace ramie::event

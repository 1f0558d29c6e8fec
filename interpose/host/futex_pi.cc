// The word, as for the kernel:
//
// | bits            | meaning                                                               |
// |-----------------|-----------------------------------------------------------------------|
// | FUTEX_TID_MASK  | the owner's thread id, 0 when free                                    |
// | FUTEX_WAITERS   | somebody may wait: the owner must unlock by system call, and no other |
// |                 | thread may take the lock but by system call                           |
// | FUTEX_OWNER_DIED| a robust lock's owner died; stays until the new owner clears it       |
//
// Unlocking does not hand over: whoever comes next takes the lock, and who was woken waits again.
//
// Waiters for a lock that processes share sleep in the kernel, on the word beside it, and don't
// know of each other: who has waited takes the lock with FUTEX_WAITERS set, so that its unlock
// wakes the next one. They look again now and then, since a process without hosted threads uses the
// kernel's own operations, which know nothing of them.
#include "interpose/host/futex_pi.h"

#include <algorithm>

#include "base/sys.h"
#include "core/carrier.h"
#include "core/light_home.h"
#include "interpose/host/entry.h"
#include "interpose/host/futex_call.h"
#include "interpose/host/thread.h"
#include "sync/parking_lot.h"

namespace ramie::host {
namespace {

uint32_t own_tid() {
  Thread* thread = current_thread();
  return static_cast<uint32_t>(thread != nullptr ? thread->tid : sys::gettid());
}

bool exchange(uint32_t* word, uint32_t& expected, uint32_t wanted) {
  return std::atomic_ref<uint32_t>(*word).compare_exchange_strong(expected, wanted,
                                                                  std::memory_order_seq_cst);
}

enum class Attempt : uint8_t { taken, deadlock, held };

// `seen` is the word that says so; in it the waiters' bit is set if the caller will wait.
Attempt attempt(const FutexCall& call, uint32_t owner_word, bool will_wait, uint32_t& seen) {
  uint32_t tid = owner_word & FUTEX_TID_MASK;
  seen = load(call.word);
  for (;;) {
    uint32_t owner = seen & FUTEX_TID_MASK;
    if (owner == 0) {
      if (exchange(call.word, seen, (seen & ~FUTEX_TID_MASK) | owner_word)) {
        return Attempt::taken;
      }
    } else if (owner == tid) {
      return Attempt::deadlock;
    } else if (!will_wait || (seen & FUTEX_WAITERS) != 0) {
      return Attempt::held;
    } else if (exchange(call.word, seen, seen | FUTEX_WAITERS)) {
      seen |= FUTEX_WAITERS;
      return Attempt::held;
    }
  }
}

sync::Outcome wait_here(const FutexCall& call, base::Deadline deadline) {
  return sync::park(call.word, {.deadline = deadline},
                    [&] {
                      uint32_t now = load(call.word);
                      return (now & FUTEX_TID_MASK) != 0 && (now & FUTEX_WAITERS) != 0;
                    })
      .how;
}

// Where waiters for a lock among processes sleep: on the word beside it.  If the kernel found one
// on the lock itself that is not its own kind, its operations would fail with EINVAL, which libc's
// mutexes take for success.
uint32_t* bed_of(const FutexCall& call) {
  return reinterpret_cast<uint32_t*>(reinterpret_cast<uintptr_t>(call.word) ^ sizeof *call.word);
}

sync::Outcome wait_among_processes(const FutexCall& call, base::Deadline deadline) {
  constexpr int64_t kRound = 10'000'000;
  int64_t left = base::nanos_left(deadline);
  if (left == 0) {
    return sync::Outcome::timed_out;
  }
  timespec span = base::to_timespec(std::min(kRound, left));
  uint32_t* bed = bed_of(call);
  const long arguments[6] = {sys::arg(bed), FUTEX_WAIT, static_cast<long>(load(bed)),
                             sys::arg(&span)};
  long result = core::current() != nullptr
                    ? wait_in_kernel(FutexCall{arguments}, FUTEX_BITSET_MATCH_ANY,
                                     base::Deadline::after(base::now(), base::to_nanos(span)))
                    : sys::call(SYS_futex, arguments[0], arguments[1], arguments[2], arguments[3]);
  return result == -EINTR ? sync::Outcome::interrupted : sync::Outcome::woken;
}

// A waiter of the kernel's own is there if a process without hosted threads has found that the
// owner is a thread that the kernel knows: then only the kernel can unlock, and for that kernel
// thread alone.
bool unlock_in_kernel(const FutexCall& call) {
  auto unlock = [&] { return sys::call(SYS_futex, sys::arg(call.word), FUTEX_UNLOCK_PI) == 0; };
  if (own_tid() == static_cast<uint32_t>(sys::gettid())) {
    return unlock();
  }
  const Thread* self = current_thread();
  if (self == nullptr || self != first_thread()) {
    return false;
  }
  core::Carrier& home = core::bring_first_home();
  bool done = unlock();
  core::release_first(home);
  return done;
}

}  // namespace

long lock_pi(const FutexCall& call) {
  base::Deadline deadline;
  if (long error = deadline_of(call, deadline); error != 0) {
    return error;
  }
  if (long error = check(call.word); error != 0) {
    return error;
  }
  uint32_t owner_word = own_tid();
  for (;;) {
    uint32_t seen = 0;
    Attempt result = attempt(call, owner_word, true, seen);
    if (result != Attempt::held) {
      return result == Attempt::taken ? 0 : -EDEADLK;
    }
    sync::Outcome how =
        call.is_private() ? wait_here(call, deadline) : wait_among_processes(call, deadline);
    if (how == sync::Outcome::timed_out) {
      return -ETIMEDOUT;
    }
    const core::Fiber* self = core::current();
    if (self != nullptr && (how == sync::Outcome::interrupted ||
                            self->signal_pending.load(std::memory_order_relaxed))) {
      return kRestartAlways;  // pthread_mutex_lock knows no EINTR
    }
    if (!call.is_private()) {
      owner_word |= FUTEX_WAITERS;
    }
  }
}

long try_lock_pi(const FutexCall& call) {
  if (long error = check(call.word); error != 0) {
    return error;
  }
  uint32_t seen = 0;
  Attempt result = attempt(call, own_tid(), false, seen);
  return result == Attempt::taken ? 0 : result == Attempt::deadlock ? -EDEADLK : -EAGAIN;
}

long unlock_pi(const FutexCall& call) {
  if (long error = check(call.word); error != 0) {
    return error;
  }
  if ((load(call.word) & FUTEX_TID_MASK) != own_tid()) {
    return -EPERM;
  }
  if (!call.is_private()) {
    if (!unlock_in_kernel(call)) {
      std::atomic_ref<uint32_t>(*call.word).store(0, std::memory_order_seq_cst);
    }
    (void)sys::call(SYS_futex, sys::arg(bed_of(call)), FUTEX_WAKE, 1);
    return 0;
  }
  // Under the lock of the queue, so that nobody goes to sleep on a word that says "free".
  sync::unpark_one(call.word, [&](sync::UnparkOne next) -> uint32_t {
    std::atomic_ref<uint32_t>(*call.word)
        .store(next.has_more ? FUTEX_WAITERS : 0, std::memory_order_seq_cst);
    return 0;
  });
  return 0;
}

}  // namespace ramie::host

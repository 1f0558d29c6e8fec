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
#include "interpose/host/futex_pi.h"

#include "base/sys.h"
#include "core/carrier.h"
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
Attempt attempt(const FutexCall& call, uint32_t tid, bool will_wait, uint32_t& seen) {
  seen = load(call.word);
  for (;;) {
    uint32_t owner = seen & FUTEX_TID_MASK;
    if (owner == 0) {
      if (exchange(call.word, seen, (seen & ~FUTEX_TID_MASK) | tid)) {
        return Attempt::taken;
      }
    } else if (owner == tid) {
      return Attempt::deadlock;
    } else if (!will_wait || (seen & FUTEX_WAITERS) != 0 ||
               exchange(call.word, seen, seen | FUTEX_WAITERS)) {
      return Attempt::held;
    }
  }
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
  uint32_t tid = own_tid();
  for (;;) {
    uint32_t seen = 0;
    Attempt result = attempt(call, tid, true, seen);
    if (result != Attempt::held) {
      return result == Attempt::taken ? 0 : -EDEADLK;
    }
    sync::ParkResult parked = sync::park(call.word, {.deadline = deadline}, [&] {
      uint32_t now = load(call.word);
      return (now & FUTEX_TID_MASK) != 0 && (now & FUTEX_WAITERS) != 0;
    });
    if (parked.how == sync::Outcome::timed_out) {
      return -ETIMEDOUT;
    }
    if (parked.how == sync::Outcome::interrupted && core::current() != nullptr) {
      return sys::kRestart;
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
  // Under the lock of the queue, so that nobody goes to sleep on a word that says "free".
  sync::unpark_one(call.word, [&](sync::UnparkOne next) -> uint32_t {
    std::atomic_ref<uint32_t>(*call.word)
        .store(next.has_more ? FUTEX_WAITERS : 0, std::memory_order_seq_cst);
    return 0;
  });
  return 0;
}

}  // namespace ramie::host

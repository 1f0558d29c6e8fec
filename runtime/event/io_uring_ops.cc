#include "event/io_uring_ops.h"

#include <liburing.h>
#include <sys/eventfd.h>
#include <sys/wait.h>

#include <atomic>
#include <cerrno>
#include <optional>

#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/interruptible.h"
#include "core/park.h"
#include "event/own_descriptors.h"
#include "event/poller.h"
#include "event/section.h"
#include "event/uring_operations.h"

// Of liburing.a we use the set-up, submission and registration, which enter the kernel directly and
// call nothing of libc.
namespace ramie::event {
namespace {

using base::Deadline;
using base::Lock;
using base::LockGuard;
using core::Wake;

constexpr unsigned kSubmissions = 64;
constexpr unsigned kCompletions = 4096;
constexpr int64_t kTryAgain = 1'000'000;

enum class State : int { unknown, refused, open };

constinit Lock lock;
constinit io_uring ring RAMIE_GUARDED_BY(lock) = {};
constinit std::atomic<State> state = State::unknown;
constinit std::atomic<bool> has_waits = false;  // for futexes and children

// One operation, on the stack of the fiber that waits.  The ring's lock guards it.
struct Operation {
  core::Ticket ticket;  // of the park under way
  bool is_done = false;
  int result = 0;
};

// Hands out what has been completed.  After the unpark an operation may be gone.
void reap() RAMIE_REQUIRES(lock) {
  io_uring_cqe* completion = nullptr;
  while (io_uring_peek_cqe(&ring, &completion) == 0) {
    auto* operation = static_cast<Operation*>(io_uring_cqe_get_data(completion));
    if (operation != nullptr) {  // null: a cancellation's own completion
      operation->result = completion->res;
      operation->is_done = true;
      (void)core::unpark(operation->ticket);
    }
    io_uring_cqe_seen(&ring, completion);
  }
}

// On a carrier's loop.
void on_completion() {
  LockGuard guard(lock);
  reap();
}

int set_up() RAMIE_REQUIRES(lock) {
  io_uring_params params{};
  // Completions interrupt the kernel thread that submitted, which may compute by now.
  params.flags = IORING_SETUP_CQSIZE;
  params.cq_entries = kCompletions;
  int result = io_uring_queue_init_params(kSubmissions, &ring, &params);
  if (result < 0) {
    return result;
  }
  ring.ring_fd = ring.enter_ring_fd = keep(ring.ring_fd);
  int completed = keep(sys::call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
  result = completed;
  if (completed >= 0) {
    result = io_uring_register_eventfd(&ring, completed);
    if (result == 0) {
      result = add_source(completed, on_completion);
    }
    if (result < 0) {
      discard(completed);
    }
  }
  // Without NODROP (before Linux 5.5) a full queue would lose completions, and fibers with them.
  if (result < 0 || (params.features & IORING_FEAT_NODROP) == 0) {
    discard(ring.ring_fd);
    ring.ring_fd = -1;
    io_uring_queue_exit(&ring);
    return result < 0 ? result : -ENOSYS;
  }
  has_waits.store(knows_operation(ring.ring_fd, kFutexWait), std::memory_order_relaxed);
  return 0;
}

void unlock(void*) RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); }

// Fills an entry and submits it, with what may have been left of an earlier one.  0 or -errno (the
// kernel is short of memory, or the queue of completions is full): then it was not submitted.
template <class Prepare>
int submit_entry(Operation* operation, Prepare prepare) RAMIE_REQUIRES(lock) {
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  if (entry == nullptr) {
    (void)io_uring_submit(&ring);
    return -EAGAIN;
  }
  prepare(entry);
  io_uring_sqe_set_data(entry, operation);
  int result = io_uring_submit(&ring);
  if (io_uring_sq_ready(&ring) == 0) {
    return 0;
  }
  // The entry stays queued and goes out with the next one: as nothing.
  io_uring_prep_nop(entry);
  io_uring_sqe_set_data(entry, nullptr);
  return result < 0 ? result : -EAGAIN;
}

// How a fiber waits for one.
struct Manner {
  core::WaitReason reason;
  Deadline deadline;
  bool is_interruptible = true;  // by cancel() and time-out scopes
  bool ends_early = true;        // at the deadline, and by a signal
};

// Waits until the operation is over, ending it early if that can be.
void finish(Operation& operation, const Manner& manner) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  bool cancelled = !manner.ends_early;
  bool interrupted = false;
  while (!operation.is_done) {
    if (!cancelled) {
      cancelled = submit_entry(nullptr, [&](io_uring_sqe* entry) {
                    io_uring_prep_cancel(entry, &operation, 0);
                  }) == 0;
      reap();
      if (operation.is_done) {
        break;
      }
    }
    operation.ticket = core::prepare_park();
    Deadline next_try = cancelled ? Deadline::never() : Deadline::after(base::now(), kTryAgain);
    interrupted |= core::park(manner.reason, next_try, {unlock, nullptr}) == Wake::interrupted;
    lock.lock();
  }
  if (interrupted) {
    core::keep_interruption();
  }
}

// Submits what `prepare` makes of an entry, and parks until it is over: not only until the
// deadline, because the kernel may write to the caller's memory as long as the operation lives.
// False: the kernel has not taken it.  `wake` is what has ended the first park.
template <class Prepare>
bool make(Operation& operation, const Manner& manner, Prepare prepare,
          Wake& wake) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  lock.lock();
  // Only the first park may be ended by an interruption; finish() waits in any case.
  std::optional<core::Interruptible> interruptible;
  if (manner.is_interruptible) {
    interruptible.emplace();
  }
  operation.ticket = core::prepare_park();
  if (submit_entry(&operation, prepare) < 0) {
    lock.unlock();
    core::abandon_park();
    return false;
  }
  reap();  // it may be over already
  wake = core::park(manner.reason, manner.deadline, {unlock, nullptr});
  interruptible.reset();
  lock.lock();
  finish(operation, manner);
  lock.unlock();
  return true;
}

template <class Prepare>
long run(const Manner& manner, Prepare prepare) {
  if (!uring_available()) {
    return -ENOSYS;
  }
  WaitingSection section;
  for (;;) {
    Operation operation;
    Wake wake = Wake::unparked;
    if (!make(operation, manner, prepare, wake)) {
      return -ENOSYS;
    }
    if (operation.result != -ECANCELED && operation.result != -EINTR) {
      if (wake == Wake::interrupted) {
        core::keep_interruption();  // it was over all the same
      }
      return operation.result;
    }
    if (!manner.ends_early) {
      continue;  // see below
    }
    if (wake == Wake::timed_out) {
      return -ETIMEDOUT;
    }
    if (wake == Wake::cancelled) {
      return -ECANCELED;
    }
    // Else the kernel thread that submitted it has ended, and with it what it had submitted.
    if (wake == Wake::interrupted || operation.result == -EINTR) {
      return -EINTR;
    }
  }
}

Manner manner_of(int fd, Deadline deadline) {
  return {{core::WaitKind::descriptor, static_cast<uint64_t>(fd)}, deadline};
}

}  // namespace

bool uring_available() {
  State known = state.load(std::memory_order_acquire);
  if (known == State::unknown) [[unlikely]] {
    core::RuntimeSection section(*core::current());
    LockGuard guard(lock);
    known = state.load(std::memory_order_relaxed);
    if (known == State::unknown) {
      known = set_up() == 0 ? State::open : State::refused;
      state.store(known, std::memory_order_release);  // pairs with the load above
    }
  }
  return known == State::open;
}

long uring_accept(int fd, sockaddr* address, socklen_t* length, int flags, Deadline deadline) {
  return run(manner_of(fd, deadline),
             [=](io_uring_sqe* entry) { io_uring_prep_accept(entry, fd, address, length, flags); });
}

long uring_connect(int fd, const sockaddr* address, socklen_t length, Deadline deadline) {
  return run(manner_of(fd, deadline),
             [=](io_uring_sqe* entry) { io_uring_prep_connect(entry, fd, address, length); });
}

long uring_wait_futex(const uint32_t* word, uint32_t value, uint32_t bits, Deadline deadline) {
  constexpr int kSharedWord = 2;  // FUTEX2_SIZE_U32
  if (!uring_available() || !has_waits.load(std::memory_order_relaxed)) {
    return -ENOSYS;
  }
  Manner manner{{core::WaitKind::address, reinterpret_cast<uintptr_t>(word)}, deadline, false};
  return run(manner, [=](io_uring_sqe* entry) {
    io_uring_prep_rw(kFutexWait, entry, kSharedWord, word, 0, value);
    entry->addr3 = bits;
  });
}

long uring_wait_child(int idtype, id_t id, int options, Deadline deadline) {
  if (!uring_available() || !has_waits.load(std::memory_order_relaxed)) {
    return -ENOSYS;
  }
  Manner manner{{core::WaitKind::child, id}, deadline, false};
  return run(manner, [=](io_uring_sqe* entry) {
    io_uring_prep_rw(kWaitId, entry, static_cast<int>(id), nullptr, static_cast<unsigned>(idtype),
                     0);
    entry->file_index = static_cast<unsigned>(options | WNOWAIT);
  });
}

long uring_read(int fd, const iovec* list, long count, long offset) {
  // A signal leaves alone who waits for this (interpose/host/signal_delivery.h).
  Manner manner{{core::WaitKind::offload, SYS_preadv}, Deadline::never(), false, false};
  return run(manner, [=](io_uring_sqe* entry) {
    io_uring_prep_readv(entry, fd, list, static_cast<unsigned>(count),
                        static_cast<uint64_t>(offset));
  });
}

void reset_uring() {
  lock.reset();
  LockGuard guard(lock);
  if (state.exchange(State::unknown, std::memory_order_relaxed) == State::open) {
    ring.ring_fd = -1;  // discard_all() has closed it
    io_uring_queue_exit(&ring);
  }
}

}  // namespace ramie::event

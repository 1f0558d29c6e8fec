#include "event/carrier_uring.h"

#include <liburing.h>
#include <linux/futex.h>
#include <poll.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <cstdint>
#include <new>

#include "base/check.h"
#include "base/config.h"
#include "base/deadline.h"
#include "base/lock.h"
#include "base/log.h"
#include "base/sys.h"
#include "core/crew.h"
#include "core/park.h"
#include "core/poller.h"
#include "event/own_descriptors.h"
#include "event/poller.h"
#include "event/uring_operations.h"

// Of liburing.a we use the set-up and registration, which enter the kernel directly and call
// nothing of libc, and what is inline.
namespace ramie::event {
namespace {

using base::Deadline;
using core::Carrier;
using Stage = RingCall::Stage;

constexpr unsigned kSubmissions = kMostEntries;
constexpr unsigned kCompletions = 4096;

constexpr int kPrivateWord = 0x82;  // FUTEX2_SIZE_U32 | FUTEX2_PRIVATE

// In the place of a call's address.
enum Tag : uint64_t { kCancellation, kPollerReady, kWoken };

struct Ring : core::CarrierRing {
  io_uring kernel{};
  base::IntrusiveList<RingCall> queued;
  unsigned unfinished = 0;        // calls that the kernel has
  bool waits_for_poller = false;  // it has an entry that says so
  bool waits_for_word = false;
};

constinit std::atomic<bool> is_refused = false;

// RAMIE_POLLER=auto: a ring saves two system calls for each answer of a server, and pays for them
// with a poll in the kernel and two parks.  Where a call costs 0.1 us that is the same; where it
// costs 1 us, a tenth to a quarter is saved with many connections (docs/decisions/0025).
constexpr int64_t kDearCall = 300;  // ns
enum class Worth : uint8_t { unknown, ring, none };
constinit std::atomic<Worth> worth = Worth::unknown;

Ring& ring_of(Carrier& carrier) { return static_cast<Ring&>(*carrier.ring); }

void take_completion(Ring& ring, const io_uring_cqe& completion) {
  switch (completion.user_data) {
    case kCancellation:
      return;
    case kPollerReady:
      ring.waits_for_poller = false;
      return;
    case kWoken:
      ring.waits_for_word = false;
      return;
    default:
      break;
  }
  auto& call = *reinterpret_cast<RingCall*>(completion.user_data);
  call.result = completion.res;
  call.result_flags = completion.flags;
  call.stage = Stage::over;
  --ring.unfinished;
  (void)core::unpark(call.ticket);
}

void take_completions(Ring& ring) {
  io_uring_cq& queue = ring.kernel.cq;
  while (unsigned n = io_uring_cq_ready(&ring.kernel)) {
    for (unsigned i = 0; i < n; ++i) {
      take_completion(ring, queue.cqes[(*queue.khead + i) & *queue.kring_mask]);
    }
    io_uring_cq_advance(&ring.kernel, n);
  }
}

// Until the kernel has taken all entries, which it can put off for want of memory: nobody but us
// closes a descriptor in between.  Waits for a completion at most until the deadline.
void enter(Ring& ring, core::tls::Cpu& cpu, Deadline deadline) {
  // Release: the entries are written.
  __atomic_store_n(ring.kernel.sq.ktail, ring.kernel.sq.sqe_tail, __ATOMIC_RELEASE);
  int64_t nanos = base::nanos_left(deadline);
  timespec left = base::to_timespec(nanos);
  io_uring_getevents_arg extra{};
  extra.ts = deadline.is_never() ? 0 : static_cast<uint64_t>(sys::arg(&left));
  unsigned wanted = nanos > 0 ? 1 : 0;
  do {
    long result = sys::call(
        SYS_io_uring_enter, ring.kernel.enter_ring_fd, io_uring_sq_ready(&ring.kernel), wanted,
        IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG | IORING_ENTER_REGISTERED_RING,
        sys::arg(&extra), sizeof extra);
    core::tls::refresh(cpu);
    if (result == -EPERM || result == -EACCES || result == -ENOSYS || result == -EINVAL) {
      base::fail("the kernel refuses io_uring_enter now: use RAMIE_POLLER=epoll", __FILE__,
                 __LINE__);
    }
    wanted = 0;
    take_completions(ring);
  } while (io_uring_sq_ready(&ring.kernel) != 0);
}

// For an entry, which the next io_uring_get_sqe() returns.
void make_room(Ring& ring, core::tls::Cpu& cpu) {
  if (io_uring_sq_space_left(&ring.kernel) == 0) {
    enter(ring, cpu, Deadline::at(0));
  }
}

void write_entry(Ring& ring, RingCall& call) {
  io_uring_sqe& entry = *io_uring_get_sqe(&ring.kernel);
  io_uring_prep_rw(call.operation, &entry, call.fd, reinterpret_cast<const void*>(call.memory),
                   call.size, 0);
  entry.msg_flags = call.flags;
  entry.ioprio = call.priority;
  if (call.descriptor == nullptr) {
    io_uring_sqe_set_data64(&entry, kCancellation);
    return;
  }
  io_uring_sqe_set_data(&entry, &call);
  call.stage = Stage::submitted;
  ++ring.unfinished;
  call.waiter->taken = ring.kernel.sq.khead;
  call.waiter->taken_after = ring.kernel.sq.sqe_tail;
}

// Under the descriptor's lock: who closes it sees an entry that the kernel is yet to take, or has
// taken the waiter off, and then there is none.
void write_entries(Ring& ring, core::tls::Cpu& cpu) {
  while (RingCall* call = ring.queued.pop_front()) {
    make_room(ring, cpu);
    if (call->descriptor == nullptr) {  // a cancellation
      write_entry(ring, *call);
      continue;
    }
    base::LockGuard guard(call->descriptor->lock);
    if (call->waiter->linked()) {
      write_entry(ring, *call);
    } else {
      call->stage = Stage::over;
      call->result = -ECANCELED;
    }
  }
}

void wait_for_poller(Ring& ring, core::tls::Cpu& cpu) {
  if (!ring.waits_for_poller) {
    make_room(ring, cpu);
    io_uring_sqe* entry = io_uring_get_sqe(&ring.kernel);
    io_uring_prep_poll_add(entry, poller_descriptor(), POLLIN);
    io_uring_sqe_set_data64(entry, kPollerReady);
    ring.waits_for_poller = true;
  }
}

// One that is left from the last time serves as well: whoever changes the word wakes it.
void wait_for_word(Ring& ring, Carrier& carrier) {
  if (!ring.waits_for_word) {
    make_room(ring, carrier.cpu);
    io_uring_sqe* entry = io_uring_get_sqe(&ring.kernel);
    bool is_apart = carrier.role.load(std::memory_order_relaxed) != core::Role::crew;
    io_uring_prep_rw(kFutexWait, entry, kPrivateWord, &carrier.sleeping, 0,
                     is_apart ? core::kApart : core::kInFutex);
    entry->addr3 = FUTEX_BITSET_MATCH_ANY;
    io_uring_sqe_set_data64(entry, kWoken);
    ring.waits_for_word = true;
  }
}

// Whether the kernel has something for us that is not in the queue yet.
bool has_more(const Ring& ring) {
  constexpr unsigned kLeft = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  return (__atomic_load_n(ring.kernel.sq.kflags, __ATOMIC_ACQUIRE) & kLeft) != 0;
}

bool look(core::CarrierRing& base, Carrier& carrier) {
  auto& ring = static_cast<Ring&>(base);
  write_entries(ring, carrier.cpu);
  wait_for_poller(ring, carrier.cpu);
  if (io_uring_sq_ready(&ring.kernel) != 0 || has_more(ring)) {
    enter(ring, carrier.cpu, Deadline::at(0));
  }
  return !ring.waits_for_poller;
}

void wait(core::CarrierRing& base, Carrier& carrier, Deadline deadline,
          const core::Poller* poller) {
  auto& ring = static_cast<Ring&>(base);
  write_entries(ring, carrier.cpu);
  if (poller != nullptr) {
    wait_for_poller(ring, carrier.cpu);
  } else {
    wait_for_word(ring, carrier);
  }
  // Where there were more entries than room, calls may be over already.
  enter(ring, carrier.cpu, carrier.has_ready() ? Deadline::at(0) : deadline);
  if (poller != nullptr && !ring.waits_for_poller) {
    (void)poller->wait(Deadline::at(0), carrier.cpu, nullptr);
  }
}

void unmap(Ring& ring) {
  ring.kernel.ring_fd = -1;
  io_uring_queue_exit(&ring.kernel);
  (void)sys::call(SYS_munmap, sys::arg(&ring), sizeof(Ring));
}

// The kernel cancels what the thread has left when it ends.  Fibers that wait for that stand still
// for ever, on memory that stays.
void close(core::CarrierRing& base, Carrier& carrier) {
  auto& ring = static_cast<Ring&>(base);
  carrier.ring = nullptr;
  discard(ring.kernel.ring_fd);
  // A fiber may have its result, and its waiter may still lead here: only without any it is
  // unmapped.
  if (ring.unfinished == 0 && carrier.light_fibers.load(std::memory_order_relaxed) == 0) {
    unmap(ring);
  }
}

// 0 or -errno.
int set_up(Ring& ring) {
  io_uring_params params{};
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_SUBMIT_ALL | IORING_SETUP_SINGLE_ISSUER |
                 IORING_SETUP_DEFER_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  params.cq_entries = kCompletions;
  int result = io_uring_queue_init_params(kSubmissions, &ring.kernel, &params);
  if (result < 0) {
    return result;
  }
  ring.kernel.ring_fd = ring.kernel.enter_ring_fd = keep(ring.kernel.ring_fd);
  result = knows_operation(ring.kernel.ring_fd, kFutexWait)
               ? io_uring_register_ring_fd(&ring.kernel)
               : -ENOSYS;
  if (result != 1) {
    discard(ring.kernel.ring_fd);
    ring.kernel.ring_fd = -1;
    io_uring_queue_exit(&ring.kernel);
    return result < 0 ? result : -ENOSYS;
  }
  for (unsigned i = 0; i < kSubmissions; ++i) {
    ring.kernel.sq.array[i] = i;
  }
  return 0;
}

Ring* make_ring() {
  long memory = sys::call(SYS_mmap, 0, sizeof(Ring), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sys::failed(memory)) {
    return nullptr;
  }
  auto* ring = new (reinterpret_cast<void*>(memory)) Ring;
  ring->look = look;
  ring->wait = wait;
  ring->close = close;
  int result = set_up(*ring);
  if (result == 0) {
    return ring;
  }
  (void)sys::call(SYS_munmap, memory, sizeof(Ring));
  if (!is_refused.exchange(true, std::memory_order_relaxed)) {
    base::LogLevel level = base::config().poller == base::PollerChoice::io_uring
                               ? base::LogLevel::warn
                               : base::LogLevel::info;
    base::log_line(level, "the kernel refuses io_uring as it is needed (errno ", -result,
                   "): epoll it is");
  }
  return nullptr;
}

// In ns, of one that does nothing: the least of some tries, so nothing else is in it.
int64_t price_of_call() {
  constexpr int kTries = 8;
  constexpr int kCalls = 8;
  int64_t least = INT64_MAX;
  for (int i = 0; i < kTries; ++i) {
    int64_t begin = base::now();
    for (int k = 0; k < kCalls; ++k) {
      (void)sys::call(SYS_getppid);
    }
    least = std::min(least, (base::now() - begin) / kCalls);
  }
  return least;
}

// Not beside hosted threads: what is said of them in docs/limits.md then holds for all.
Worth weigh() {
  if (core::signal_hooks().leave != nullptr) {
    return Worth::none;
  }
  int64_t price = price_of_call();
  if (price >= kDearCall) {
    base::log_line(base::LogLevel::info, "a system call takes ", price,
                   " ns: streams of light fibers receive and send by io_uring");
  }
  return price >= kDearCall ? Worth::ring : Worth::none;
}

bool is_wanted() {
  if (base::config().poller != base::PollerChoice::automatic) {
    return base::config().poller == base::PollerChoice::io_uring;
  }
  Worth known = worth.load(std::memory_order_relaxed);
  if (known == Worth::unknown) {
    known = weigh();
    worth.store(known, std::memory_order_relaxed);
  }
  return known == Worth::ring;
}

}  // namespace

bool open_ring(Carrier& carrier) {
  if (carrier.ring != nullptr) {
    return true;
  }
  if (!is_wanted() || is_refused.load(std::memory_order_relaxed) || start_descriptors() < 0) {
    return false;
  }
  carrier.ring = make_ring();
  return carrier.ring != nullptr;
}

void queue_call(Carrier& carrier, RingCall& call) { ring_of(carrier).queued.push_back(&call); }

void cancel_call(Carrier& carrier, RingCall& call, RingCall& cancellation) {
  if (call.stage == Stage::queued) {
    ring_of(carrier).queued.remove(&call);
    call.stage = Stage::over;
    call.result = -ECANCELED;
    return;
  }
  cancellation.operation = IORING_OP_ASYNC_CANCEL;
  cancellation.memory = reinterpret_cast<uint64_t>(&call);
  queue_call(carrier, cancellation);
}

void reset_rings() {
  is_refused.store(false, std::memory_order_relaxed);
  core::Fiber* self = core::current();
  if (self != nullptr && self->carrier->ring != nullptr) {
    auto& ring = ring_of(*self->carrier);
    self->carrier->ring = nullptr;
    unmap(ring);  // discard_all() has closed it
  }
}

}  // namespace ramie::event

// The poller by io_uring(7): one ring for the process, in which each descriptor has a poll that
// reports until it is cancelled (multishot, edge-triggered).
//
// Any thread submits, under the ring's lock; the one carrier that polls reads the completions.  A
// poll belongs to the kernel thread that submitted it: its completion is made when that thread is
// in the kernel next (an interrupt will do), and the kernel cancels it when that thread ends.  Then
// who watches registers again (see kWatchEnded).  And a poll holds on to its file: so unwatch(),
// after which the file is closed, waits for the end of a poll that is another thread's.
//
// Of liburing.a we use what enters the kernel directly and calls nothing of libc.
#include <liburing.h>
#include <poll.h>
#include <sys/stat.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"
#include "event/own_descriptors.h"
#include "event/poller_backend.h"

namespace ramie::event {
namespace {

using base::Lock;
using base::LockGuard;

constexpr unsigned kSubmissions = 64;
constexpr unsigned kCompletions = 4096;
// Of completions that nobody wants.
constexpr uint64_t kNobody = ~uint64_t{0};
// In the place of a descriptor in a tag: the completion of a removal, whose number is above.
constexpr uint32_t kRemoval = ~uint32_t{1};
constexpr unsigned kBatch = 64;
// Posts a completion, without a submission and its lock (Linux 6.13).
constexpr unsigned kSendMessage = 31;  // IORING_REGISTER_SEND_MSG_RING

constinit Lock lock;
// For completions: who holds it may read those that nobody has taken off yet.  Never held together
// with `lock`.
constinit Lock reading;
// Set up by open_all() and the same ever after, but for the queue of submissions, which `lock`
// guards, and that of completions, which is read under `reading`, and taken off by the carrier that
// polls.
constinit io_uring ring = {};

// The kernel's io_uring_cqe, without what may follow it.
struct Completion {
  uint64_t tag;
  int32_t result;
  uint32_t flags;
};

// A poll that is being removed, on the stack of the one who waits for that.
struct Removal {
  Removal* next = nullptr;
  uint64_t poll = 0;       // the poll's tag
  uint64_t operation = 0;  // and the removal's own
  bool is_over = false;
};
constinit Removal* removals RAMIE_GUARDED_BY(reading) = nullptr;
constinit std::atomic<uint32_t> removals_made = 0;

// wake() writes no memory that others write, so a signal handler may call it.
long send_wake_up() {
  io_uring_sqe message{};
  message.opcode = IORING_OP_MSG_RING;
  message.fd = ring.ring_fd;
  message.addr = 0;  // IORING_MSG_DATA
  message.off = kWakeUpTag;
  return sys::call(SYS_io_uring_register, -1, kSendMessage, sys::arg(&message), 1);
}

void wake() { (void)send_wake_up(); }

int open_all() {
  io_uring_params params{};
  // Completions are made at the thread's next way into the kernel: no interruption for them.
  params.flags = IORING_SETUP_CQSIZE | IORING_SETUP_COOP_TASKRUN | IORING_SETUP_TASKRUN_FLAG;
  params.cq_entries = kCompletions;
  int result = io_uring_queue_init_params(kSubmissions, &ring, &params);
  if (result < 0) {
    return result;
  }
  ring.ring_fd = ring.enter_ring_fd = keep(ring.ring_fd);
  constexpr unsigned kNeeded = IORING_FEAT_NODROP | IORING_FEAT_EXT_ARG;
  result = (params.features & kNeeded) == kNeeded ? static_cast<int>(send_wake_up()) : -ENOSYS;
  if (result < 0) {
    discard(ring.ring_fd);
    ring.ring_fd = -1;
    io_uring_queue_exit(&ring);
  }
  return std::min(result, 0);
}

// Submits one entry at once, for the carrier that polls may be asleep.  0 or -errno.
template <class Prepare>
long submit_entry(Prepare prepare) {
  LockGuard guard(lock);
  io_uring_sqe* entry = io_uring_get_sqe(&ring);
  if (entry == nullptr) {
    (void)io_uring_submit(&ring);
    entry = io_uring_get_sqe(&ring);
    if (entry == nullptr) {
      return -EAGAIN;
    }
  }
  prepare(entry);
  int result = io_uring_submit(&ring);
  if (result < 0) {  // it stays queued, and goes out as nothing
    io_uring_prep_nop(entry);
    io_uring_sqe_set_data64(entry, kNobody);
  }
  return std::min(result, 0);
}

// What epoll_ctl says of the descriptor: a ring would take what has no readiness, and report it at
// once and for ever.
long ask_epoll(int fd) {
  long epoll = sys::call(SYS_epoll_create1, EPOLL_CLOEXEC);
  if (sys::failed(epoll)) {
    return epoll;
  }
  epoll_event event{};
  long result = sys::call(SYS_epoll_ctl, epoll, EPOLL_CTL_ADD, fd, sys::arg(&event));
  (void)sys::call(SYS_close, epoll);
  return result;
}

long check(int fd) {
  struct stat status {};
  if (long result = sys::call(SYS_fstat, fd, sys::arg(&status)); sys::failed(result)) {
    return result;
  }
  return S_ISSOCK(status.st_mode) || S_ISFIFO(status.st_mode) ? 0 : ask_epoll(fd);
}

long watch(int fd, uint32_t events, uint64_t tag) {
  if (long result = check(fd); result < 0) {
    return result;
  }
  return submit_entry([=](io_uring_sqe* entry) {
    io_uring_prep_poll_multishot(entry, fd, events & ~static_cast<uint32_t>(EPOLLET));
    io_uring_sqe_set_data64(entry, tag);
  });
}

// Whether a completion says that the poll is no more: it was removed, it had ended, or it is
// unknown.
bool ends(const Completion& completion, const Removal& removal) {
  return (completion.tag == removal.poll && (completion.flags & IORING_CQE_F_MORE) == 0) ||
         (completion.tag == removal.operation && completion.result == -ENOENT);
}

// Of completions that are taken off.
void note_end(const Completion& completion) RAMIE_REQUIRES(reading) {
  for (Removal* one = removals; one != nullptr; one = one->next) {
    one->is_over |= ends(completion, *one);
  }
}

Completion completion_at(unsigned place) {
  const io_uring_cqe& entry = ring.cq.cqes[place & *ring.cq.kring_mask];
  return {entry.user_data, entry.res, entry.flags};
}

bool is_over(Removal& removal) {
  LockGuard guard(reading);
  unsigned first = *ring.cq.khead;
  for (unsigned i = 0, n = io_uring_cq_ready(&ring); i < n && !removal.is_over; ++i) {
    removal.is_over = ends(completion_at(first + i), removal);
  }
  return removal.is_over;
}

// A poll of this very thread is over when the submission returns.  One of another thread's is when
// that has been in the kernel: in some microseconds if it sleeps, with the next interrupt if it
// runs.  One that is stuck in the kernel isn't waited for.
void unwatch(int, uint64_t tag) {
  Removal removal;
  removal.poll = tag;
  removal.operation =
      static_cast<uint64_t>(removals_made.fetch_add(1, std::memory_order_relaxed)) << 32 | kRemoval;
  {
    LockGuard guard(reading);
    removal.next = removals;
    removals = &removal;
  }
  long result = submit_entry([&](io_uring_sqe* entry) {
    io_uring_prep_poll_remove(entry, tag);
    io_uring_sqe_set_data64(entry, removal.operation);
  });
  constexpr int64_t kLongest = 5'000'000;
  for (int64_t pause = 10'000; result == 0 && !is_over(removal) && pause < kLongest; pause *= 2) {
    timespec length = base::to_timespec(pause);
    (void)sys::call(SYS_nanosleep, sys::arg(&length), 0);
  }
  LockGuard guard(reading);
  Removal** place = &removals;
  while (*place != &removal) {
    place = &(*place)->next;
  }
  *place = removal.next;
}

// Whether a look at the queue of completions would miss any that the kernel could put there.
bool must_enter() {
  constexpr unsigned kLeft = IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW;
  return (__atomic_load_n(ring.sq.kflags, __ATOMIC_ACQUIRE) & kLeft) != 0;
}

void enter(base::Deadline deadline, core::tls::Cpu& cpu) {
  int64_t nanos = base::nanos_left(deadline);
  timespec left = base::to_timespec(nanos);
  io_uring_getevents_arg extra{};
  extra.ts = deadline.is_never() ? 0 : static_cast<uint64_t>(sys::arg(&left));
  long result =
      sys::call(SYS_io_uring_enter, ring.ring_fd, 0, nanos > 0 ? 1 : 0,
                IORING_ENTER_GETEVENTS | IORING_ENTER_EXT_ARG, sys::arg(&extra), sizeof extra);
  core::tls::refresh(cpu);
  if (result == -EBADF || result == -EOPNOTSUPP) {
    base::fail("the program closed a descriptor of Ramie's", __FILE__, __LINE__);
  }
}

// Sockets wake who polls them for input with a word that stands for urgent data as well, which the
// ring passes on unseen.
bool is_urgent(uint64_t tag) {
  pollfd one{static_cast<int>(tag), POLLPRI, 0};
  return sys::call(SYS_poll, sys::arg(&one), 1, 0) > 0 && (one.revents & POLLPRI) != 0;
}

void hand_out(const Completion& completion) {
  if (completion.tag == kNobody || completion.tag == kWakeUpTag ||
      static_cast<uint32_t>(completion.tag) == kRemoval) {
    return;
  }
  uint32_t events = 0;
  if (completion.result >= 0) {
    events = static_cast<uint32_t>(completion.result);
    if ((events & EPOLLPRI) != 0 && !is_urgent(completion.tag)) {
      events &= ~static_cast<uint32_t>(EPOLLPRI);
    }
  } else if (completion.result != -ECANCELED) {
    events = EPOLLERR;  // whoever waits tries, and sees
  }
  if ((completion.flags & IORING_CQE_F_MORE) == 0) {
    events |= kWatchEnded;
  }
  report_event(completion.tag, events);
}

// Copies, because what is reported may register again, and the entries are the kernel's by then.
unsigned take_off(Completion (&batch)[kBatch]) {
  LockGuard guard(reading);
  unsigned n = std::min(io_uring_cq_ready(&ring), kBatch);
  for (unsigned i = 0; i < n; ++i) {
    batch[i] = completion_at(*ring.cq.khead + i);
    if (removals != nullptr) [[unlikely]] {
      note_end(batch[i]);
    }
  }
  io_uring_cq_advance(&ring, n);
  return n;
}

void wait(base::Deadline deadline, core::tls::Cpu& cpu) {
  if (io_uring_cq_ready(&ring) == 0 && (deadline.nanos > 0 || must_enter())) {
    enter(deadline, cpu);
  }
  Completion batch[kBatch];
  for (unsigned n = take_off(batch); n > 0; n = n == kBatch ? take_off(batch) : 0) {
    for (unsigned i = 0; i < n; ++i) {
      hand_out(batch[i]);
    }
  }
}

void reset() {
  lock.reset();
  reading.reset();
  {
    LockGuard guard(reading);
    removals = nullptr;
  }
  ring.ring_fd = -1;  // discard_all() has closed it
  io_uring_queue_exit(&ring);
}

}  // namespace

const PollerBackend kIoUringBackend = {"io_uring", open_all, wait, wake, watch, unwatch, reset};

}  // namespace ramie::event

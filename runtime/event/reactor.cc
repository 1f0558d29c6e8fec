#include "event/reactor.h"

#include <sys/epoll.h>
#include <sys/mman.h>

#include <cerrno>

#include "base/lock.h"
#include "base/sys.h"
#include "core/park.h"
#include "event/descriptor_table.h"
#include "event/section.h"

namespace ramie::event {
namespace {

using base::Lock;
using base::LockGuard;
using core::Ticket;
using core::Wake;

uint32_t interest_of(short events) {
  uint32_t interest = 0;
  if ((events & (POLLIN | POLLRDNORM | POLLRDBAND)) != 0) {
    interest |= EPOLLIN;
  }
  if ((events & (POLLOUT | POLLWRNORM | POLLWRBAND)) != 0) {
    interest |= EPOLLOUT;
  }
  if ((events & (POLLPRI | POLLRDBAND)) != 0) {
    interest |= EPOLLPRI;
  }
  if ((events & POLLRDHUP) != 0) {
    interest |= EPOLLRDHUP;
  }
  return interest;
}

long result_of(Wake wake) {
  switch (wake) {
    case Wake::unparked:
      return 0;
    case Wake::timed_out:
      return -ETIMEDOUT;
    case Wake::interrupted:
      return -EINTR;
    case Wake::cancelled:
      return -ECANCELED;
    case Wake::closed:
      break;
  }
  return -EBADF;
}

// The waiters of one wait_fds(), on its stack as long as they are few.
class WaiterArray {
 public:
  explicit WaiterArray(unsigned long n) : size_(n) {
    if (n > kFew) {
      long memory = sys::call(SYS_mmap, 0, bytes(), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      waiters_ = sys::failed(memory) ? nullptr : reinterpret_cast<DescriptorWaiter*>(memory);
    }
  }
  ~WaiterArray() {
    if (waiters_ != few_ && waiters_ != nullptr) {
      (void)sys::call(SYS_munmap, sys::arg(waiters_), bytes());
    }
  }
  WaiterArray(const WaiterArray&) = delete;
  WaiterArray& operator=(const WaiterArray&) = delete;

  [[nodiscard]] bool exists() const { return waiters_ != nullptr; }
  DescriptorWaiter& operator[](unsigned long i) { return waiters_[i]; }

 private:
  static constexpr unsigned long kFew = 32;

  [[nodiscard]] long bytes() const { return static_cast<long>(size_ * sizeof(DescriptorWaiter)); }

  unsigned long size_;
  DescriptorWaiter few_[kFew];
  DescriptorWaiter* waiters_ = few_;
};

// For a descriptor of which an event may have been somebody else's: the state of things, now that
// the waiter would hear of each change.
short state_now(int fd, short events) {
  pollfd wanted{fd, events, 0};
  return sys::call(SYS_poll, sys::arg(&wanted), 1, 0) > 0 ? wanted.revents : short{0};
}

// An error by itself may be one that no try takes: a message in a socket's error queue.  So it is
// worth one try, and another one after each event that tells of one.
bool is_worth_a_try(const Descriptor& descriptor, int fd, short events, FileUse* use) {
  short now = state_now(fd, events);
  if (now != POLLERR || use == nullptr) {
    return now != 0;
  }
  uint32_t count = descriptor.input.load(std::memory_order_relaxed) & ~kInputMask;
  bool is_new = !use->has_seen_error || use->seen_after != count;
  use->has_seen_error = true;
  use->seen_after = count;
  return is_new;
}

// Puts `waiter` on the descriptor's list.  False: it counts as ready, there is nothing to wait for.
bool join(DescriptorWaiter& waiter, const pollfd& wanted) {
  Descriptor* descriptor = descriptor_of(wanted.fd);
  if (descriptor == nullptr) {
    return false;
  }
  LockGuard guard(descriptor->lock);
  if (ensure_registered(*descriptor, wanted.fd) < 0 || take_ready(*descriptor, waiter.interest)) {
    return false;
  }
  descriptor->waiters.push_back(&waiter);
  // Where it is ready already, the caller takes the waiter off again.
  return !note_user(*descriptor, waiter) || state_now(wanted.fd, wanted.events) == 0;
}

// Begins the use, if it hasn't begun.  False: the descriptor was closed since.
bool goes_on(Descriptor& descriptor, FileUse& use) RAMIE_REQUIRES(descriptor.lock) {
  if (!use.begun) {
    use.closings = closings_of(descriptor.uses.fetch_add(1, std::memory_order_relaxed));
    use.begun = true;
  }
  return closings_of(descriptor.uses.load(std::memory_order_relaxed)) == use.closings;
}

// On the next fiber's stack: the waiter's ticket is on the list, wakers may come.
void unlock(void* lock) RAMIE_NO_THREAD_SAFETY_ANALYSIS { static_cast<Lock*>(lock)->unlock(); }

}  // namespace

// The entry's lock is dropped by park's commit, which the analysis can't follow.
long wait_fd(int fd, short events, base::Deadline deadline,
             FileUse* use) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  WaitingSection section;
  if (int result = start_descriptors(); result < 0) {
    return result;
  }
  Descriptor* descriptor = descriptor_of(fd);
  if (descriptor == nullptr) {
    return fd < 0 ? -EBADF : -EPERM;
  }
  DescriptorWaiter waiter;
  waiter.interest = interest_of(events);
  descriptor->lock.lock();
  bool may_wait = use == nullptr || !use->keeps || goes_on(*descriptor, *use);
  long result = may_wait ? ensure_registered(*descriptor, fd) : -long{EBADF};
  if (result < 0 || take_ready(*descriptor, waiter.interest)) {
    descriptor->lock.unlock();
    return result;
  }
  waiter.ticket = core::prepare_park();
  descriptor->waiters.push_back(&waiter);
  uint32_t closings = closings_of(descriptor->uses.load(std::memory_order_relaxed));
  if (note_user(*descriptor, waiter) && is_worth_a_try(*descriptor, fd, events, use)) {
    descriptor->waiters.remove(&waiter);
    descriptor->lock.unlock();
    core::abandon_park();
    core::yield();  // if it can't be done in spite of that, at least others run
    return 0;
  }
  Wake wake = core::park({core::WaitKind::descriptor, static_cast<uint64_t>(fd)}, deadline,
                         {unlock, &descriptor->lock});
  if (wake != Wake::unparked && wake != Wake::closed) {
    take_off(*descriptor, waiter);
  }
  // Also where an event had woken it before: the number may be another file's by now.  What else
  // has woken it (an interruption, which is told of once) counts all the same.
  bool is_same = closings == closings_of(descriptor->uses.load(std::memory_order_relaxed));
  return is_same || wake != Wake::unparked ? result_of(wake) : -EBADF;
}

long wait_fds(const pollfd* fds, unsigned long n, base::Deadline deadline) {
  WaitingSection section;
  if (int result = start_descriptors(); result < 0) {
    return result;
  }
  WaiterArray waiters(n);
  if (!waiters.exists()) {
    return -ENOMEM;
  }
  // The ticket is in several lists before the park: an event in between makes park() return at
  // once.
  Ticket ticket = core::prepare_park();
  unsigned long joined = 0;
  int first = -1;  // for the dumps
  bool is_ready = false;
  for (; joined < n && !is_ready; ++joined) {
    if (fds[joined].fd >= 0) {
      waiters[joined].ticket = ticket;
      waiters[joined].interest = interest_of(fds[joined].events);
      is_ready = !join(waiters[joined], fds[joined]);
      first = first < 0 ? fds[joined].fd : first;
    }
  }
  Wake wake = Wake::unparked;
  if (is_ready) {
    core::abandon_park();
  } else {
    wake = core::park({core::WaitKind::descriptor, static_cast<uint64_t>(first)}, deadline);
  }
  for (unsigned long i = 0; i < joined; ++i) {
    if (Descriptor* descriptor = fds[i].fd >= 0 ? descriptor_of(fds[i].fd) : nullptr) {
      take_off(*descriptor, waiters[i]);
    }
  }
  // One descriptor of several was closed: the caller's next poll() tells which.
  return wake == Wake::closed ? 0 : result_of(wake);
}

}  // namespace ramie::event

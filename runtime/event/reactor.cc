#include "event/reactor.h"

#include <sys/epoll.h>
#include <sys/mman.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/intrusive_list.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/park.h"
#include "event/poller_epoll.h"
#include "event/section.h"

namespace ramie::event {
namespace {

using base::Lock;
using base::LockGuard;
using core::Ticket;
using core::Wake;

constexpr int kMaxDescriptors = 1 << 20;  // the default of fs.nr_open
constexpr uint32_t kTrouble = EPOLLERR | EPOLLHUP;

// On the stack of the fiber that waits.
struct Waiter : base::ListLink {
  Ticket ticket;
  uint32_t interest = 0;
};

// All zeros is a descriptor that nobody has waited for.
struct Entry {
  Lock lock;
  uint32_t generation RAMIE_GUARDED_BY(lock);  // grows when the descriptor is forgotten
  uint32_t ready RAMIE_GUARDED_BY(lock);       // events that came while nobody waited for them
  bool registered RAMIE_GUARDED_BY(lock);
  base::IntrusiveList<Waiter> waiters RAMIE_GUARDED_BY(lock);
};

// One lazily touched reservation, indexed by descriptor; mapped at the first wait.
constinit Lock mapping;
constinit std::atomic<Entry*> table = nullptr;
// Every registered descriptor is below.
constinit std::atomic<int> registered_end = 0;

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

// Wakes the waiters that `events` concern.  Returns the events that woke nobody.
//
// A waiter that is off the list owns its node again as soon as it is unparked, so the node isn't
// touched afterwards.  One whose park had ended already doesn't count: it won't look at the event.
uint32_t wake_waiters(Entry& entry, uint32_t events, Wake why) RAMIE_REQUIRES(entry.lock) {
  uint32_t unclaimed = events;
  for (Waiter* waiter = entry.waiters.front(); waiter != nullptr;) {
    Waiter* next = entry.waiters.next(waiter);
    uint32_t wanted = waiter->interest | kTrouble;
    if ((events & wanted) != 0) {
      Ticket ticket = waiter->ticket;
      entry.waiters.remove(waiter);
      if (core::unpark(ticket, why)) {
        unclaimed &= ~wanted;
      }
    }
    waiter = next;
  }
  return unclaimed;
}

void on_event(int fd, uint32_t generation, uint32_t events) {
  Entry& entry = table.load(std::memory_order_relaxed)[fd];
  LockGuard guard(entry.lock);
  if (entry.registered && entry.generation == generation) {
    entry.ready |= wake_waiters(entry, events, Wake::unparked);
  }
}

int map_table() {
  LockGuard guard(mapping);
  if (table.load(std::memory_order_relaxed) != nullptr) {
    return 0;
  }
  long memory = sys::call(SYS_mmap, 0, sizeof(Entry) * kMaxDescriptors, PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (sys::failed(memory)) {
    return static_cast<int>(memory);
  }
  set_descriptor_handler(on_event);
  table.store(reinterpret_cast<Entry*>(memory), std::memory_order_release);  // pairs with start()
  return 0;
}

// Before the first wait.
int start() {
  if (table.load(std::memory_order_acquire) == nullptr) [[unlikely]] {
    if (int result = map_table(); result < 0) {
      return result;
    }
  }
  return start_poller();
}

Entry* entry_of(int fd) {
  Entry* entries = table.load(std::memory_order_acquire);
  return entries == nullptr || fd < 0 || fd >= kMaxDescriptors ? nullptr : &entries[fd];
}

long ensure_registered(Entry& entry, int fd) RAMIE_REQUIRES(entry.lock) {
  if (entry.registered) {
    return 0;
  }
  if (long result = watch(fd, entry.generation); sys::failed(result)) {
    return result;
  }
  entry.registered = true;
  int end = registered_end.load(std::memory_order_relaxed);
  while (end <= fd &&
         !registered_end.compare_exchange_weak(end, fd + 1, std::memory_order_relaxed)) {
  }
  return 0;
}

bool take_ready(Entry& entry, uint32_t interest) RAMIE_REQUIRES(entry.lock) {
  uint32_t wanted = interest | kTrouble;
  bool is_ready = (entry.ready & wanted) != 0;
  entry.ready &= ~wanted;
  return is_ready;
}

// Only a wake-up that comes from the list has taken the node off it.
void take_off(Entry& entry, Waiter& waiter) {
  LockGuard guard(entry.lock);
  if (waiter.linked()) {
    entry.waiters.remove(&waiter);
  }
}

long result_of(Wake wake) {
  switch (wake) {
    case Wake::unparked:
      return 0;
    case Wake::timed_out:
      return -ETIMEDOUT;
    case Wake::interrupted:
      return -EINTR;
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
      waiters_ = sys::failed(memory) ? nullptr : reinterpret_cast<Waiter*>(memory);
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
  Waiter& operator[](unsigned long i) { return waiters_[i]; }

 private:
  static constexpr unsigned long kFew = 32;

  [[nodiscard]] long bytes() const { return static_cast<long>(size_ * sizeof(Waiter)); }

  unsigned long size_;
  Waiter few_[kFew];
  Waiter* waiters_ = few_;
};

// Puts `waiter` on the descriptor's list.  False: it counts as ready, there is nothing to wait for.
bool join(Waiter& waiter, const pollfd& wanted) {
  Entry* entry = entry_of(wanted.fd);
  if (entry == nullptr) {
    return false;
  }
  LockGuard guard(entry->lock);
  if (ensure_registered(*entry, wanted.fd) < 0 || take_ready(*entry, waiter.interest)) {
    return false;
  }
  entry->waiters.push_back(&waiter);
  return true;
}

// On the next fiber's stack: the waiter's ticket is on the list, wakers may come.
void unlock(void* lock) RAMIE_NO_THREAD_SAFETY_ANALYSIS { static_cast<Lock*>(lock)->unlock(); }

}  // namespace

// The entry's lock is dropped by park's commit, which the analysis can't follow.
long wait_fd(int fd, short events, base::Deadline deadline) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  WaitingSection section;
  if (int result = start(); result < 0) {
    return result;
  }
  Entry* entry = entry_of(fd);
  if (entry == nullptr) {
    return fd < 0 ? -EBADF : -EPERM;
  }
  Waiter waiter;
  waiter.interest = interest_of(events);
  entry->lock.lock();
  long result = ensure_registered(*entry, fd);
  if (result < 0 || take_ready(*entry, waiter.interest)) {
    entry->lock.unlock();
    return result;
  }
  waiter.ticket = core::prepare_park();
  entry->waiters.push_back(&waiter);
  Wake wake = core::park({core::WaitKind::descriptor, static_cast<uint64_t>(fd)}, deadline,
                         {unlock, &entry->lock});
  if (wake == Wake::timed_out || wake == Wake::interrupted) {
    take_off(*entry, waiter);
  }
  return result_of(wake);
}

long wait_fds(const pollfd* fds, unsigned long n, base::Deadline deadline) {
  WaitingSection section;
  if (int result = start(); result < 0) {
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
    if (Entry* entry = fds[i].fd >= 0 ? entry_of(fds[i].fd) : nullptr) {
      take_off(*entry, waiters[i]);
    }
  }
  // One descriptor of several was closed: the caller's next poll() tells which.
  return wake == Wake::closed ? 0 : result_of(wake);
}

void forget(int fd) {
  Entry* entry = entry_of(fd);
  if (entry == nullptr || fd >= registered_end.load(std::memory_order_relaxed)) {
    return;
  }
  Section section;
  LockGuard guard(entry->lock);
  if (entry->registered) {
    unwatch(fd);
    entry->registered = false;
    ++entry->generation;
    entry->ready = 0;
    (void)wake_waiters(*entry, ~0U, Wake::closed);
  }
}

void forget_range(unsigned first, unsigned last) {
  auto end = static_cast<unsigned>(registered_end.load(std::memory_order_relaxed));
  for (unsigned fd = first; fd < end && fd <= last; ++fd) {
    forget(static_cast<int>(fd));
  }
}

void reset_reactor() {
  mapping.reset();
  Entry* entries = table.exchange(nullptr, std::memory_order_relaxed);
  if (entries != nullptr) {
    (void)sys::call(SYS_munmap, sys::arg(entries), sizeof(Entry) * kMaxDescriptors);
  }
  registered_end.store(0, std::memory_order_relaxed);
}

}  // namespace ramie::event

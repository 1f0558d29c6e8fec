#include "interpose/host/signal_queue.h"

#include <sys/mman.h>
#include <sys/resource.h>

#include <algorithm>
#include <cerrno>
#include <climits>

#include "base/lock.h"
#include "base/sys.h"
#include "interpose/host/signal_masks.h"
#include "interpose/host/thread.h"
#include "interpose/host/thread_timers.h"

namespace ramie::host {

struct PendingSignal {
  PendingSignal* next;  // the first, for remove()
  siginfo_t info;
  bool given;
};

namespace {

using core::signal_bit;

constexpr int kFirstRealTime = 32;
constexpr size_t kMost = 1UL << 17;  // a lazily touched reservation

constinit base::Lock lock;
constinit PendingSignal* reserved RAMIE_GUARDED_BY(lock) = nullptr;
constinit size_t fresh RAMIE_GUARDED_BY(lock) = 0;  // how many of these were ever used
constinit size_t in_use RAMIE_GUARDED_BY(lock) = 0;
constinit PendingSignal* unused RAMIE_GUARDED_BY(lock) = nullptr;

PendingSignal* allocate() RAMIE_REQUIRES(lock) {
  if (PendingSignal* node = unused) {
    unused = node->next;
    ++in_use;
    return node;
  }
  if (reserved == nullptr) {
    long memory = sys::call(SYS_mmap, 0, kMost * sizeof(PendingSignal), PROT_READ | PROT_WRITE,
                            MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sys::failed(memory)) {
      return nullptr;
    }
    reserved = reinterpret_cast<PendingSignal*>(memory);
  }
  if (fresh == kMost) {
    return nullptr;
  }
  ++in_use;
  return &reserved[fresh++];
}

void release(PendingSignal* node) RAMIE_REQUIRES(lock) {
  node->next = unused;
  unused = node;
  --in_use;
}

bool is_limit_reached() RAMIE_REQUIRES(lock) {
  rlimit limit{};
  (void)sys::call(SYS_prlimit64, 0, RLIMIT_SIGPENDING, 0, sys::arg(&limit));
  return in_use >= limit.rlim_cur;
}

PendingSignal** find(Thread& thread, int signal) RAMIE_REQUIRES(lock) {
  PendingSignal** link = &thread.queue;
  while (*link != nullptr && (*link)->info.si_signo != signal) {
    link = &(*link)->next;
  }
  return link;
}

PendingSignal** find_kind(Thread& thread, int signal, bool given) RAMIE_REQUIRES(lock) {
  PendingSignal** link = &thread.queue;
  while (*link != nullptr && ((*link)->info.si_signo != signal || (*link)->given != given)) {
    link = &(*link)->next;
  }
  return link;
}

// A timer has one signal pending at most; what comes meanwhile are overruns of that one.
bool merge_with_pending(const Thread& thread, const siginfo_t& info) RAMIE_REQUIRES(lock) {
  for (PendingSignal* node = thread.queue; node != nullptr; node = node->next) {
    siginfo_t& other = node->info;
    if (other.si_code == SI_TIMER && other.si_signo == info.si_signo &&
        other.si_timerid == info.si_timerid) {
      // As the kernel: it stops at the largest number.
      int64_t sum = int64_t{other.si_overrun} + info.si_overrun + 1;
      other.si_overrun = static_cast<int>(std::min<int64_t>(sum, INT_MAX));
      return true;
    }
  }
  return false;
}

// The bit says whether there is one.
void remove(Thread& thread, PendingSignal** link) RAMIE_REQUIRES(lock) {
  PendingSignal* node = *link;
  int signal = node->info.si_signo;
  *link = node->next;
  if (thread.last_queued == node) {
    thread.last_queued = link == &thread.queue
                             ? nullptr
                             : reinterpret_cast<PendingSignal*>(link);  // `next` comes first in it
  }
  release(node);
  if (*find(thread, signal) == nullptr) {
    thread.pending.fetch_and(~signal_bit(signal), std::memory_order_seq_cst);
  }
}

long add(Thread& thread, const siginfo_t& info, bool given) {
  AllBlocked block;
  base::LockGuard guard(lock);
  bool is_of_timer = info.si_code == SI_TIMER;
  if (is_of_timer && merge_with_pending(thread, info)) {
    return 0;
  }
  bool queues_up = info.si_signo >= kFirstRealTime || is_of_timer;
  if (!queues_up && *find_kind(thread, info.si_signo, given) != nullptr) {
    return 0;
  }
  PendingSignal* node =
      queues_up && !given && !is_of_timer && is_limit_reached() ? nullptr : allocate();
  if (node == nullptr) {
    return -EAGAIN;
  }
  node->next = nullptr;
  node->info = info;
  node->given = given;
  *(thread.queue == nullptr ? &thread.queue : &thread.last_queued->next) = node;
  thread.last_queued = node;
  thread.pending.fetch_or(signal_bit(info.si_signo), std::memory_order_seq_cst);
  return 0;
}

}  // namespace

long add_own(Thread& thread, const siginfo_t& info) { return add(thread, info, false); }

void add_given(Thread& thread, const siginfo_t& info) { (void)add(thread, info, true); }

int take_pending(Thread& thread, uint64_t set, siginfo_t& info) {
  if ((thread.pending.load(std::memory_order_relaxed) & set) == 0) {
    return 0;
  }
  AllBlocked block;
  int signal = 0;
  {
    base::LockGuard guard(lock);
    uint64_t wanted = thread.pending.load(std::memory_order_relaxed) & set;
    if (wanted == 0) {
      return 0;
    }
    signal = __builtin_ctzl(wanted) + 1;
    PendingSignal** link = find(thread, signal);
    info = (*link)->info;
    remove(thread, link);
  }
  if (info.si_code == SI_TIMER) {
    note_taken_timer(info);
  }
  return signal;
}

int take_given(Thread& thread, uint64_t set, siginfo_t& info) {
  AllBlocked block;
  base::LockGuard guard(lock);
  for (PendingSignal** link = &thread.queue; *link != nullptr; link = &(*link)->next) {
    int signal = (*link)->info.si_signo;
    if ((*link)->given && (set & signal_bit(signal)) != 0) {
      info = (*link)->info;
      remove(thread, link);
      return signal;
    }
  }
  return 0;
}

void forget_pending(Thread& thread) {
  if (thread.pending.load(std::memory_order_relaxed) == 0) {
    return;
  }
  AllBlocked block;
  base::LockGuard guard(lock);
  while (thread.queue != nullptr) {
    remove(thread, &thread.queue);
  }
}

void reset_queue_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  lock.reset();
  fresh = 0;
  in_use = 0;
  unused = nullptr;
}

}  // namespace ramie::host

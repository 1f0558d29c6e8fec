#include "interpose/host/thread.h"

#include <sys/mman.h>
#include <sys/prctl.h>

#include <cstring>
#include <new>

#include "base/lock.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/cpu_clock.h"
#include "interpose/host/names.h"
#include "interpose/host/signal_queue.h"

namespace ramie::host {
namespace {

constexpr size_t kMaxThreads = 1UL << 20;  // live at the same time
constexpr size_t kChunk = 256UL * 1024;

constinit base::Lock lock;
constinit base::IntrusiveList<Thread> free_threads RAMIE_GUARDED_BY(lock);
constinit char* fresh RAMIE_GUARDED_BY(lock) = nullptr;
constinit size_t fresh_left RAMIE_GUARDED_BY(lock) = 0;
constinit base::IntrusiveList<Thread> live RAMIE_GUARDED_BY(lock);
constinit std::atomic<uint64_t> created = 0;
constinit Thread first;
constinit std::atomic<bool> has_first = false;

// Live threads by id modulo kMaxThreads: a lazily touched reservation.
constinit std::atomic<std::atomic<Thread*>*> by_tid = nullptr;

// A mutex that processes share says by this id who holds it, so each process has a range of its
// own: the first kMaxThreads ids differ from those of the 250 processes around it, the first 62
// from those of all.  The largest id still fits into the clockid_t of a thread's CPU clock.
constexpr uint64_t kRanges = 251;
constexpr uint64_t kIds = kRanges * kMaxThreads;
constexpr uint64_t kMaxPid = 1UL << 22;  // man 5 proc, pid_max
static_assert(kFirstVirtualTid + kIds < 1UL << 28);
constinit uint64_t first_id RAMIE_GUARDED_BY(lock) = 0;

uint64_t first_id_of_process() {
  auto pid = static_cast<uint64_t>(sys::getpid());
  constexpr uint64_t kShare = kMaxThreads / (kMaxPid / kRanges + 1);
  return pid % kRanges * kMaxThreads + pid / kRanges * kShare;
}

std::atomic<Thread*>& place_of(int tid) {
  return by_tid.load(
      std::memory_order_relaxed)[static_cast<size_t>(tid - kFirstVirtualTid) % kMaxThreads];
}

void* map(size_t size) {
  long memory = sys::call(SYS_mmap, 0, static_cast<long>(size), PROT_READ | PROT_WRITE,
                          MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  return sys::failed(memory) ? nullptr : reinterpret_cast<void*>(memory);
}

Thread* take_block() RAMIE_REQUIRES(lock) {
  if (Thread* thread = free_threads.pop_front()) {
    return thread;
  }
  if (fresh_left < sizeof(Thread)) {
    fresh = static_cast<char*>(map(kChunk));
    fresh_left = fresh == nullptr ? 0 : kChunk;
    if (fresh == nullptr) {
      return nullptr;
    }
  }
  auto* thread = new (fresh) Thread;
  fresh += sizeof(Thread);
  fresh_left -= sizeof(Thread);
  return thread;
}

}  // namespace

Thread* allocate_thread() {
  base::LockGuard guard(lock);
  if (by_tid.load(std::memory_order_relaxed) == nullptr) {
    by_tid.store(
        static_cast<std::atomic<Thread*>*>(map(kMaxThreads * sizeof(std::atomic<Thread*>))),
        std::memory_order_relaxed);
    if (by_tid.load(std::memory_order_relaxed) == nullptr) {
      return nullptr;
    }
    first_id = first_id_of_process();
  }
  Thread* thread = take_block();
  if (thread == nullptr) {
    return nullptr;
  }
  // The next id whose place is free; there are far fewer threads than places.
  int tid = 0;
  for (size_t tries = 0;; ++tries) {
    uint64_t serial = created.fetch_add(1, std::memory_order_relaxed);
    tid = kFirstVirtualTid + static_cast<int>((first_id + serial) % kIds);
    if (place_of(tid).load(std::memory_order_relaxed) == nullptr) {
      break;
    }
    if (tries == kMaxThreads) {
      free_threads.push_front(thread);
      return nullptr;
    }
  }
  new (thread) Thread(core::Recycled{});
  thread->blocked = ~uint64_t{0};  // until start_thread() knows
  thread->fiber = &thread->own;
  thread->own.host = thread;
  thread->own.kind = core::FiberKind::hosted;
  thread->own.id = static_cast<uint64_t>(tid);
  thread->tid = tid;
  place_of(tid).store(thread, std::memory_order_release);  // pairs with LiveThreads::find()
  live.push_back(thread);
  return thread;
}

void free_thread(Thread* thread) {
  base::LockGuard guard(lock);
  live.remove(thread);
  place_of(thread->tid).store(nullptr, std::memory_order_relaxed);
  core::set_cpu_alarm(*thread->fiber, core::kNoAlarm);
  forget_pending(*thread);  // what came after take_no_signals(); nobody can find it any more
  free_threads.push_front(thread);
}

LiveThreads::LiveThreads() RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.lock(); }

LiveThreads::~LiveThreads() RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); }

Thread* LiveThreads::find(int tid) {
  if (is_virtual_tid(tid)) {
    Thread* thread = place_of(tid).load(std::memory_order_acquire);  // pairs with allocate_thread()
    return thread != nullptr && thread->tid == tid ? thread : nullptr;
  }
  return has_first.load(std::memory_order_acquire) && first.tid == tid ? &first : nullptr;
}

bool is_thread_alive(int tid) {
  LiveThreads threads;
  return LiveThreads::find(tid) != nullptr;
}

bool is_virtual_tid(int tid) {
  return tid >= kFirstVirtualTid && by_tid.load(std::memory_order_relaxed) != nullptr &&
         static_cast<uint64_t>(tid - kFirstVirtualTid) < kIds;
}

Thread* adopt_first_thread(core::Fiber& fiber) {
  new (&first) Thread;
  first.fiber = &fiber;
  first.tid = sys::gettid();
  fiber.host = &first;
  fiber.id = static_cast<uint64_t>(first.tid);
  core::set_cpu_time(fiber, core::own_cpu_time());
  (void)sys::call(SYS_prctl, PR_GET_NAME, sys::arg(fiber.name));
  // Kernels without it leave null.
  (void)sys::call(SYS_prctl, kGetTidAddress, sys::arg(&first.clear_child_tid));
  size_t length = 0;
  (void)sys::call(SYS_get_robust_list, 0, sys::arg(&first.robust_list), sys::arg(&length));
  has_first.store(true, std::memory_order_release);  // pairs with LiveThreads::find()
  return &first;
}

Thread* first_thread() { return has_first.load(std::memory_order_acquire) ? &first : nullptr; }

void LiveThreads::for_each(void (*visit)(Thread&, void*),
                           void* argument) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  for (Thread* thread = live.front(); thread != nullptr; thread = live.next(thread)) {
    visit(*thread, argument);
  }
}

bool find_name(int tid, ThreadName& name) {
  LiveThreads threads;
  const Thread* thread = LiveThreads::find(tid);
  if (thread != nullptr) {
    memcpy(name.text, thread->fiber->name, sizeof name.text);
  }
  return thread != nullptr;
}

uint64_t threads_created() { return created.load(std::memory_order_relaxed); }

void lock_threads_for_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.lock(); }

void unlock_threads_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS { lock.unlock(); }

void reset_threads_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  unlock_threads_after_fork();
  has_first.store(false, std::memory_order_relaxed);
  first_id = first_id_of_process();
  while (Thread* thread = live.front()) {
    // Of their queues somebody may hold the lock for ever; they are reset as a whole.
    thread->pending.store(0, std::memory_order_relaxed);
    thread->queue = nullptr;
    free_thread(thread);
  }
}

}  // namespace ramie::host

#include "event/helper_pool.h"

#include <signal.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>
#include <climits>

#include "base/config.h"
#include "base/futex.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/apart.h"
#include "core/kernel_thread.h"
#include "core/scheduler.h"
#include "event/interruptible_call.h"
#include "event/own_descriptors.h"
#include "event/poller.h"

namespace ramie::event {
namespace {

using base::LockGuard;

constexpr uint32_t kUsual = 4;
constexpr int64_t kIdle = 2 * base::kNanosPerSecond;

constinit base::Lock lock;
constinit core::KernelThread threads[base::Config::kMostBlocked];
constinit HelperJob* oldest RAMIE_GUARDED_BY(lock) = nullptr;
constinit HelperJob* newest RAMIE_GUARDED_BY(lock) = nullptr;
constinit uint32_t generation RAMIE_GUARDED_BY(lock) = 0;
// Of this generation; one that has decided to end doesn't count.
constinit uint32_t helpers RAMIE_GUARDED_BY(lock) = 0;
constinit uint32_t idle RAMIE_GUARDED_BY(lock) = 0;
constinit uint32_t jobs_waiting RAMIE_GUARDED_BY(lock) = 0;
constinit uint64_t jobs_done RAMIE_GUARDED_BY(lock) = 0;
constinit std::atomic<uint32_t> bell = 0;  // idle helpers sleep on it; counts what may concern them

// Jobs that are done and not yet reported: a stack that is taken whole.
constinit std::atomic<HelperJob*> done = nullptr;
constinit std::atomic<int> done_event = -1;

void enqueue(HelperJob& job) RAMIE_REQUIRES(lock) {
  job.next = nullptr;
  job.queued = true;
  job.jobs_done_before = jobs_done;
  (oldest == nullptr ? oldest : newest->next) = &job;
  newest = &job;
  ++jobs_waiting;
}

HelperJob* dequeue() RAMIE_REQUIRES(lock) {
  HelperJob* job = oldest;
  if (job != nullptr) {
    oldest = job->next;
    job->queued = false;
    --jobs_waiting;
  }
  return job;
}

void ring_bell(int count) {
  bell.fetch_add(1, std::memory_order_release);  // pairs with run_helper()
  (void)base::futex_wake(bell, count);
}

// On a helper.  From the exchange on, the job may be gone.
void report(HelperJob& job) {
  HelperJob* head = done.load(std::memory_order_relaxed);
  do {
    job.next = head;
  } while (!done.compare_exchange_weak(head, &job, std::memory_order_release,  // with on_done()
                                       std::memory_order_relaxed));
  uint64_t one = 1;
  (void)sys::call(SYS_write, done_event.load(std::memory_order_relaxed), sys::arg(&one),
                  sizeof one);
}

// On a carrier's loop.
void on_done() {
  HelperJob* job = done.exchange(nullptr, std::memory_order_acquire);  // pairs with report()
  while (job != nullptr) {
    HelperJob* next = job->next;
    core::outside_work_ended();
    job->finished(*job);
    job = next;
  }
}

// Helpers block all signals: what a failed call has raised is pending.
int take_raised(long result) {
  if (result != -EPIPE && result != -EFBIG) {
    return 0;
  }
  uint64_t set = 1UL << (SIGPIPE - 1) | 1UL << (SIGXFSZ - 1);
  constexpr timespec kNow{};
  long signal = sys::call(SYS_rt_sigtimedwait, sys::arg(&set), 0, sys::arg(&kNow), sizeof set);
  return signal > 0 ? static_cast<int>(signal) : 0;
}

// The life of a helper.  Not a word of thread-local data is touched here.
void run_helper(core::KernelThread& self) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  let_interruptions_in();
  lock.lock();
  while (self.generation == generation) {
    if (HelperJob* job = dequeue()) {
      job->helper = &self;
      lock.unlock();
      job->result = interruptible_call(job->interrupted, job->number, job->arguments);
      job->signal = take_raised(job->result);
      lock.lock();
      job->helper = nullptr;
      ++jobs_done;
      lock.unlock();
      report(*job);
      lock.lock();
      continue;
    }
    ++idle;
    uint32_t heard = bell.load(std::memory_order_acquire);  // pairs with ring_bell()
    lock.unlock();
    long result = base::futex_wait(bell, heard, base::Deadline::after(base::now(), kIdle));
    lock.lock();
    if (self.generation != generation) {
      break;  // the counters are the next generation's already
    }
    --idle;
    if (result == -ETIMEDOUT && oldest == nullptr) {
      --helpers;
      break;
    }
  }
  lock.unlock();
}

uint32_t most() { return base::config().max_blocked; }

// 0, or -errno if not one helper more can be had.
int add_helper() RAMIE_REQUIRES(lock) {
  for (core::KernelThread& thread : threads) {
    if (thread.tid.load(std::memory_order_acquire) == 0) {
      thread.run = run_helper;
      thread.generation = generation;
      int result = core::start_thread_of_crew(thread);
      helpers += result == 0 ? 1 : 0;
      return result;
    }
  }
  return -EAGAIN;
}

int open_done_event() RAMIE_REQUIRES(lock) {
  if (done_event.load(std::memory_order_relaxed) >= 0) {
    return 0;
  }
  int fd = keep(sys::call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (fd < 0) {
    return fd;
  }
  if (int result = add_source(fd, on_done); result < 0) {
    discard(fd);
    return result;
  }
  done_event.store(fd, std::memory_order_relaxed);
  return 0;
}

}  // namespace

int submit(HelperJob& job) {
  LockGuard guard(lock);
  if (int result = open_done_event(); result < 0) {
    return result;
  }
  if (jobs_waiting >= idle && helpers < (job.is_lasting ? most() : std::min(kUsual, most()))) {
    int result = add_helper();
    if (result < 0 && helpers == 0) {
      return result;
    }
  }
  core::outside_work_began();
  enqueue(job);
  if (idle > 0) {
    ring_bell(1);
  }
  return 0;
}

bool add_helper_if_stuck(HelperJob& job) {
  LockGuard guard(lock);
  if (job.queued && job.jobs_done_before == jobs_done && helpers < most()) {
    (void)add_helper();
  }
  job.jobs_done_before = jobs_done;
  return job.queued;
}

// Under the lock, so that the helper has not gone on to another job.
void interrupt_job(HelperJob& job) {
  LockGuard guard(lock);
  job.interrupted.store(1, std::memory_order_release);  // pairs with interruptible_call()
  if (job.queued && helpers < most()) {
    (void)add_helper();  // those that there are may be stuck
  }
  if (job.helper != nullptr) {
    interrupt_call(static_cast<int>(job.helper->tid.load(std::memory_order_relaxed)));
  }
}

void renew_helpers() {
  LockGuard guard(lock);
  ++generation;
  helpers = 0;
  idle = 0;
  ring_bell(INT_MAX);
  if (oldest != nullptr) {
    (void)add_helper();
  }
}

void reset_helpers() {
  lock.reset();
  LockGuard guard(lock);
  for (core::KernelThread& thread : threads) {
    thread.tid.store(0, std::memory_order_relaxed);
  }
  oldest = nullptr;
  helpers = idle = jobs_waiting = 0;
  done.store(nullptr, std::memory_order_relaxed);
  done_event.store(-1, std::memory_order_relaxed);
}

}  // namespace ramie::event

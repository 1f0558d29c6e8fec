// The kernel has such clocks for kernel threads alone: core/cpu_clock.h counts.
#include "interpose/host/cpu_clocks.h"

#include <sys/resource.h>
#include <time.h>

#include <cerrno>

#include "base/deadline.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/cpu_clock.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/hosting.h"
#include "interpose/host/thread.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

// The thread of a clock id as pthread_getcpuclockid makes it, the complement of the thread's id and
// three bits of what is counted (CPUCLOCK_SCHED of a thread); 0 for CLOCK_THREAD_CPUTIME_ID, -1 for
// every other clock.
int thread_of(long clock) {
  constexpr unsigned kOfThread = 6;
  auto id = static_cast<unsigned>(clock);
  if (id == CLOCK_THREAD_CPUTIME_ID) {
    return 0;
  }
  return static_cast<int>(id) < 0 && (id & 7) == kOfThread ? static_cast<int>(~id >> 3) : -1;
}

// That of the caller, which may be a light fiber, for 0.
bool read_clock(int tid, int64_t& nanos) {
  if (tid == 0) {
    nanos = core::cpu_time_of(*core::current());
    return true;
  }
  return read_thread_clock(tid, nanos);
}

timeval to_timeval(int64_t nanos) {
  constexpr int64_t kPerMicro = 1000;
  return {nanos / base::kNanosPerSecond, nanos % base::kNanosPerSecond / kPerMicro};
}

int64_t nanos_of(const timeval& time) {
  constexpr int64_t kPerMicro = 1000;
  return time.tv_sec * base::kNanosPerSecond + time.tv_usec * kPerMicro;
}

// What the thread has used since it was last asked is split as its kernel thread's time is: the
// kernel itself guesses that by samples.  Neither part ever goes back.
void split(Thread& thread, rusage& usage) {
  int64_t user = nanos_of(usage.ru_utime);
  int64_t all = user + nanos_of(usage.ru_stime);
  int64_t total = core::cpu_time_of(*thread.fiber);
  int64_t fresh = total - thread.usage_split;
  thread.usage_split = total;
  // In thousandths, since the product of two times may be more than fits.
  constexpr int64_t kWhole = 1000;
  int64_t share = all > kWhole ? user / (all / kWhole) : kWhole;
  thread.usage_user += fresh / kWhole * (share < kWhole ? share : kWhole);
  usage.ru_utime = to_timeval(thread.usage_user);
  usage.ru_stime = to_timeval(total - thread.usage_user);
}

}  // namespace

int thread_of_clock(long clock) {
  int tid = thread_of(clock);
  const Thread* self = tid == 0 ? current_thread() : nullptr;
  return self != nullptr ? self->tid : tid == 0 ? -1 : tid;
}

bool read_thread_clock(int tid, int64_t& nanos) {
  LiveThreads threads;
  const Thread* thread = LiveThreads::find(tid);
  if (thread != nullptr) {
    nanos = core::cpu_time_of(*thread->fiber);
  }
  return thread != nullptr;
}

long clock_gettime(const long* a) {
  int tid = thread_of(a[0]);
  int64_t nanos = 0;
  if (tid < 0 || !is_hosting() || !read_clock(tid, nanos)) {
    return is_virtual_tid(tid) ? -EINVAL : kernel(SYS_clock_gettime, a);
  }
  if (!ops::looks_mapped(a[1])) {
    return -EFAULT;
  }
  ops::copy_out(a[1], base::to_timespec(nanos));
  return 0;
}

long clock_getres(const long* a) {
  int tid = thread_of(a[0]);
  if (tid < 0 || !is_virtual_tid(tid)) {
    return kernel(SYS_clock_getres, a);
  }
  const long of_caller[6] = {CLOCK_THREAD_CPUTIME_ID, a[1]};
  return is_thread_alive(tid) ? kernel(SYS_clock_getres, of_caller) : -EINVAL;
}

long getrusage(const long* a) {
  long result = kernel(SYS_getrusage, a);
  Thread* thread = current_thread();
  if (result == 0 && thread != nullptr && static_cast<int>(a[0]) == RUSAGE_THREAD) {
    split(*thread, *reinterpret_cast<rusage*>(a[1]));
  }
  return result;
}

}  // namespace ramie::host

// Who a hosted thread is: its id, its name, and what the kernel registers per thread.
#include <linux/ioprio.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include <cerrno>
#include <cstring>

#include "base/log.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/names.h"
#include "interpose/host/thread.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

// A call about the thread whose id is argument `which`: for a hosted thread the kernel is asked
// about the carrier (id 0, the caller).  What would change the carrier for all of its fibers is not
// done.
long for_thread(long number, const long* a, int which, bool changes) {
  int tid = static_cast<int>(a[which]);
  if (!is_virtual_tid(tid)) {
    return kernel(number, a);
  }
  if (!is_thread_alive(tid)) {
    return -ESRCH;
  }
  if (changes) {
    base::log_line(base::LogLevel::info, "system call ", number,
                   " for one hosted thread has no effect");
    return 0;
  }
  long mapped[6] = {a[0], a[1], a[2], a[3], a[4], a[5]};
  mapped[which] = 0;
  return kernel(number, mapped);
}

}  // namespace

long gettid(const long* a) {
  Thread* thread = current_thread();
  return thread != nullptr ? thread->tid : kernel(SYS_gettid, a);
}

long set_tid_address(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr) {
    return kernel(SYS_set_tid_address, a);
  }
  thread->clear_child_tid = reinterpret_cast<int*>(a[0]);
  return thread->tid;
}

// The kernel would fill in the area of the carrier's own thread.  What restartable sequences need
// here is only to know that they are not available: cpu_id = RSEQ_CPU_ID_REGISTRATION_FAILED.
long rseq(const long* a) {
  struct Area {
    uint32_t cpu_id_start;
    int32_t cpu_id;
  };
  if (auto* area = reinterpret_cast<Area*>(a[0])) {
    area->cpu_id = -2;
  }
  return 0;
}

long prctl(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr || (a[0] != PR_SET_NAME && a[0] != PR_GET_NAME)) {
    return kernel(SYS_prctl, a);
  }
  if (!ops::looks_mapped(a[1])) {
    return -EFAULT;
  }
  if (a[0] == PR_GET_NAME) {
    ThreadName name = name_of(*thread);
    memcpy(reinterpret_cast<char*>(a[1]), name.text, sizeof name.text);
    return 0;
  }
  const auto* text = reinterpret_cast<const char*>(a[1]);
  ThreadName name = make_name(text, sizeof name.text);
  (void)rename_thread(thread->tid, name);
  return thread == first_thread() ? tell_kernel_first_name(name) : 0;
}

long sched_setparam(const long* a) { return for_thread(SYS_sched_setparam, a, 0, true); }
long sched_getparam(const long* a) { return for_thread(SYS_sched_getparam, a, 0, false); }
long sched_setscheduler(const long* a) { return for_thread(SYS_sched_setscheduler, a, 0, true); }
long sched_getscheduler(const long* a) { return for_thread(SYS_sched_getscheduler, a, 0, false); }
long sched_rr_get_interval(const long* a) {
  return for_thread(SYS_sched_rr_get_interval, a, 0, false);
}
long sched_setaffinity(const long* a) { return for_thread(SYS_sched_setaffinity, a, 0, true); }
long sched_getaffinity(const long* a) { return for_thread(SYS_sched_getaffinity, a, 0, false); }
long sched_setattr(const long* a) { return for_thread(SYS_sched_setattr, a, 0, true); }
long sched_getattr(const long* a) { return for_thread(SYS_sched_getattr, a, 0, false); }
long setpriority(const long* a) {
  return a[0] == PRIO_PROCESS ? for_thread(SYS_setpriority, a, 1, true)
                              : kernel(SYS_setpriority, a);
}
long getpriority(const long* a) {
  return a[0] == PRIO_PROCESS ? for_thread(SYS_getpriority, a, 1, false)
                              : kernel(SYS_getpriority, a);
}

// For a thread's id, as the two before.
long ioprio_set(const long* a) {
  return a[0] == IOPRIO_WHO_PROCESS ? for_thread(SYS_ioprio_set, a, 1, true)
                                    : kernel(SYS_ioprio_set, a);
}
long ioprio_get(const long* a) {
  return a[0] == IOPRIO_WHO_PROCESS ? for_thread(SYS_ioprio_get, a, 1, false)
                                    : kernel(SYS_ioprio_get, a);
}

}  // namespace ramie::host

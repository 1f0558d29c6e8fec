// How the kernel runs a thread: man 2 sched_setaffinity, sched_setscheduler, sched_setattr,
// setpriority, ioprio_set.  For a hosted thread, the kernel is asked about the carrier that it is
// bound to, or any of the crew's, which are all alike.
#include <sys/resource.h>

#include <cerrno>

#include "base/sched_attr.h"
#include "base/sys.h"
#include "interpose/host/binding.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

struct Target {
  Thread* thread = nullptr;  // null: none of ours
  bool is_gone = false;
};

Target find(int id) {
  if (id == 0) {
    return {current_thread(), false};
  }
  // It may end, but its block stays; change_thread() looks again.
  LiveThreads live;
  Thread* thread = LiveThreads::find(id);
  return {thread, thread == nullptr && is_virtual_tid(id)};
}

// Argument `which` is the thread's id.
long ask(long number, const long* a, int which) {
  Target target = find(static_cast<int>(a[which]));
  if (target.is_gone) {
    return -ESRCH;
  }
  if (target.thread == nullptr) {
    return kernel(number, a);
  }
  long mapped[6] = {a[0], a[1], a[2], a[3], a[4], a[5]};
  mapped[which] = kernel_tid_of(*target.thread);
  return kernel(number, mapped);
}

// For what the watchdog may have changed of the kernel thread.
long ask_as_usual(long number, const long* a) {
  core::AsUsual while_it_answers;
  return ask(number, a, 0);
}

long set(long number, const long* a, int which, const char* what) {
  int id = static_cast<int>(a[which]);
  Target target = find(id);
  if (target.is_gone) {
    return -ESRCH;
  }
  if (target.thread == nullptr) {
    return kernel(number, a);
  }
  // By the id that was asked for: the thread may end, and its block be another's.
  return change_thread(*target.thread, id != 0 ? id : target.thread->tid, {number, a, which, what});
}

constexpr const char* kAffinity = "its processors were chosen";
constexpr const char* kPolicy = "its scheduling policy was chosen";
constexpr const char* kIoPriority = "its I/O priority was chosen";
constexpr const char* kNice = "its nice value was changed";

}  // namespace

long sched_setparam(const long* a) { return set(SYS_sched_setparam, a, 0, kPolicy); }
long sched_getparam(const long* a) { return ask(SYS_sched_getparam, a, 0); }
long sched_setscheduler(const long* a) { return set(SYS_sched_setscheduler, a, 0, kPolicy); }
long sched_getscheduler(const long* a) { return ask(SYS_sched_getscheduler, a, 0); }
long sched_rr_get_interval(const long* a) { return ask_as_usual(SYS_sched_rr_get_interval, a); }
long sched_setaffinity(const long* a) { return set(SYS_sched_setaffinity, a, 0, kAffinity); }
long sched_getaffinity(const long* a) { return ask_as_usual(SYS_sched_getaffinity, a); }
long sched_setattr(const long* a) { return set(SYS_sched_setattr, a, 0, kPolicy); }
long sched_getattr(const long* a) { return ask_as_usual(SYS_sched_getattr, a); }
long setpriority(const long* a) {
  return a[0] == PRIO_PROCESS ? set(SYS_setpriority, a, 1, kNice) : kernel(SYS_setpriority, a);
}
long getpriority(const long* a) {
  return a[0] == PRIO_PROCESS ? ask(SYS_getpriority, a, 1) : kernel(SYS_getpriority, a);
}

long ioprio_set(const long* a) {
  return a[0] == base::kIoPriorityOfThread ? set(SYS_ioprio_set, a, 1, kIoPriority)
                                           : kernel(SYS_ioprio_set, a);
}
long ioprio_get(const long* a) {
  return a[0] == base::kIoPriorityOfThread ? ask(SYS_ioprio_get, a, 1) : kernel(SYS_ioprio_get, a);
}

}  // namespace ramie::host

#include "interpose/host/attributes.h"

#include <sched.h>
#include <sys/resource.h>

#include <algorithm>
#include <cstring>

#include "base/sys.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

long read_processors(int tid, uint64_t (&mask)[Attributes::kMostProcessors / 64]) {
  return sys::call(SYS_sched_getaffinity, tid, sizeof mask, sys::arg(mask));
}

base::SchedAttr policy_of(int tid) {
  base::SchedAttr policy;
  (void)sys::call(SYS_sched_getattr, tid, sys::arg(&policy), sizeof policy, 0);
  return policy;
}

bool is_affinity(long size, long address, int tid) {
  if (!ops::looks_mapped(address) || size <= 0) {
    return false;
  }
  uint64_t now[Attributes::kMostProcessors / 64] = {};
  long known = read_processors(tid, now);
  if (known <= 0) {
    return false;
  }
  uint64_t wanted[Attributes::kMostProcessors / 64] = {};
  memcpy(wanted, reinterpret_cast<const void*>(address),
         static_cast<size_t>(std::min(size, known)));
  return memcmp(wanted, now, sizeof now) == 0;
}

bool is_policy(long policy, long parameter_address, int tid) {
  sched_param parameter{};
  sched_param now{};
  return ops::copy_in(parameter, parameter_address) &&
         sys::call(SYS_sched_getparam, tid, sys::arg(&now)) == 0 &&
         sys::call(SYS_sched_getscheduler, tid) == policy &&
         now.sched_priority == parameter.sched_priority;
}

}  // namespace

Attributes attributes_of(int tid) {
  Attributes found;
  (void)read_processors(tid, found.processors);
  found.policy = policy_of(tid);
  found.priority = sys::call(SYS_getpriority, PRIO_PROCESS, tid);
  found.io_priority = sys::call(SYS_ioprio_get, base::kIoPriorityOfThread, tid);
  return found;
}

bool resets_on_fork() { return (sys::call(SYS_sched_getscheduler, 0) & SCHED_RESET_ON_FORK) != 0; }

bool asks_for_what_is(long number, const long* a, int tid) {
  switch (number) {
    case SYS_sched_setaffinity:
      return is_affinity(a[1], a[2], tid);
    case SYS_sched_setscheduler:
      return is_policy(static_cast<int>(a[1]), a[2], tid);
    case SYS_sched_setparam:
      return is_policy(sys::call(SYS_sched_getscheduler, tid), a[1], tid);
    case SYS_setpriority:
      return sys::call(SYS_getpriority, PRIO_PROCESS, tid) ==
             20 - std::clamp(static_cast<int>(a[2]), -20, 19);
    case SYS_ioprio_set:
      return sys::call(SYS_ioprio_get, base::kIoPriorityOfThread, tid) == a[2];
    default:
      return false;
  }
}

}  // namespace ramie::host

// Who a hosted thread is: its id, its name, and what the kernel registers per thread.
#include <sys/prctl.h>

#include <cerrno>
#include <cstring>

#include "base/sys.h"
#include "core/carrier.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/names.h"
#include "interpose/host/thread.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {

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
  if (thread == nullptr || (a[0] != PR_SET_NAME && a[0] != PR_GET_NAME && a[0] != kGetTidAddress)) {
    return change_setting(a);
  }
  if (!ops::looks_mapped(a[1])) {
    return -EFAULT;
  }
  if (a[0] == PR_GET_NAME) {
    ThreadName name = name_of(*thread);
    memcpy(reinterpret_cast<char*>(a[1]), name.text, sizeof name.text);
    return 0;
  }
  if (a[0] == kGetTidAddress) {
    ops::copy_out(a[1], sys::arg(thread->clear_child_tid));
    return 0;
  }
  const auto* text = reinterpret_cast<const char*>(a[1]);
  ThreadName name = make_name(text, sizeof name.text);
  (void)rename_thread(thread->tid, name);
  return 0;
}

}  // namespace ramie::host

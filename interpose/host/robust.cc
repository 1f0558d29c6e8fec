// Robust futexes (man 2 set_robust_list): what the kernel does when a thread dies with such locks
// held, for threads of which the kernel knows nothing.
#include <linux/futex.h>

#include <cerrno>

#include "base/memory_map.h"
#include "base/sys.h"
#include "interpose/host/futex.h"
#include "interpose/host/handlers.h"
#include "interpose/host/kick.h"
#include "interpose/host/thread.h"
#include "interpose/ops/user_memory.h"

namespace ramie::host {
namespace {

constexpr int kLimit = 2048;  // as in the kernel, against lists that bite their tail

struct Entry {
  robust_list* node;
  bool is_pi;
};

// The lowest bit of a link says that it leads to a priority-inheriting lock.
Entry follow(const robust_list* link) {
  auto raw = reinterpret_cast<uintptr_t>(link);
  return {reinterpret_cast<robust_list*>(raw & ~1UL), (raw & 1) != 0};
}

enum class Ending : uint8_t { thread, process };

// Programs may give any address for a list, and the kernel copes with it.  Only glibc's, which lies
// in the thread's control block, is looked at as it is.
bool read_head(const Thread& thread, robust_list_head& head) {
  constexpr uintptr_t kControlBlock = 4096;
  auto address = reinterpret_cast<uintptr_t>(thread.robust_list);
  if (address - thread.fiber->fs_base < kControlBlock - sizeof head) {
    head = *thread.robust_list;
    return true;
  }
  return address != 0 && base::read_memory(address, &head, sizeof head);
}

bool holds_locks(const Thread& thread) {
  robust_list_head head;
  return read_head(thread, head) &&
         (head.list.next != &thread.robust_list->list || head.list_op_pending != nullptr);
}

void mark_dead(const Thread& thread, const robust_list_head& head, Entry entry, Ending ending) {
  auto* word = reinterpret_cast<uint32_t*>(reinterpret_cast<char*>(entry.node) + head.futex_offset);
  uint32_t value = 0;
  if (!base::read_memory(reinterpret_cast<uintptr_t>(word), &value, sizeof value)) {
    return;
  }
  while ((value & FUTEX_TID_MASK) == static_cast<uint32_t>(thread.tid)) {
    uint32_t dead = (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED;
    if (__atomic_compare_exchange_n(word, &value, dead, false, __ATOMIC_SEQ_CST,
                                    __ATOMIC_SEQ_CST)) {
      if ((value & FUTEX_WAITERS) != 0) {
        // Both kinds of waiters: the process's own, and those of other processes.
        if (ending == Ending::thread) {
          wake_address(word, 1);
        }
        (void)sys::call(SYS_futex, sys::arg(word), FUTEX_WAKE, 1);
      }
      return;
    }
  }
}

void release_locks(const Thread& thread, Ending ending) {
  robust_list_head head;
  if (!holds_locks(thread) || !read_head(thread, head)) {
    return;
  }
  Entry pending = follow(head.list_op_pending);
  Entry entry = follow(head.list.next);
  for (int i = 0; entry.node != &thread.robust_list->list && i < kLimit; ++i) {
    robust_list node;  // read before the lock may be taken and moved
    bool is_there = base::read_memory(reinterpret_cast<uintptr_t>(entry.node), &node, sizeof node);
    if (entry.node != pending.node) {
      mark_dead(thread, head, entry, ending);
    }
    if (!is_there) {
      return;
    }
    entry = follow(node.next);
  }
  if (pending.node != nullptr) {
    mark_dead(thread, head, pending, ending);
  }
}

}  // namespace

long set_robust_list(const long* a) {
  Thread* thread = current_thread();
  if (thread == nullptr) {
    return sys::call(SYS_set_robust_list, a[0], a[1]);
  }
  if (static_cast<size_t>(a[1]) != sizeof(robust_list_head)) {
    return -EINVAL;
  }
  thread->robust_list = reinterpret_cast<robust_list_head*>(a[0]);
  return 0;
}

// The kernel has the list of the first thread's own kernel thread, which it learned before hosting.
long get_robust_list(const long* a) {
  int tid = static_cast<int>(a[0]);
  const robust_list_head* list = nullptr;
  bool is_here = false;
  {
    LiveThreads threads;
    if (const Thread* thread = tid == 0 ? current_thread() : LiveThreads::find(tid)) {
      list = thread->robust_list;
      is_here = true;
    }
  }
  if (!is_here) {
    return is_virtual_tid(tid) ? -ESRCH : sys::call(SYS_get_robust_list, a[0], a[1], a[2]);
  }
  if (!ops::looks_mapped(a[1]) || !ops::looks_mapped(a[2])) {
    return -EFAULT;
  }
  ops::copy_out(a[2], sizeof(robust_list_head));
  ops::copy_out(a[1], sys::arg(list));
  return 0;
}

void release_robust_locks(Thread& thread) {
  release_locks(thread, Ending::thread);
  thread.robust_list = nullptr;  // its memory may be gone before the block is
}

void release_all_robust_locks() {
  LiveThreads threads;
  bool any = false;
  LiveThreads::for_each(
      [](Thread& thread, void* found) { *static_cast<bool*>(found) |= holds_locks(thread); }, &any);
  if (!any) {
    return;
  }
  stop_others_for_good();
  LiveThreads::for_each([](Thread& thread, void*) { release_locks(thread, Ending::process); },
                        nullptr);
}

}  // namespace ramie::host

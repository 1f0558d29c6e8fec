// What the shim keeps of each of the program's threads, besides its fiber.
//
// glibc made the thread: its TCB, its stack, its start routine.  Here is what the kernel would know
// of it: its id, its signal mask, its alternate stack, the word to clear when it ends.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"
#include "core/carrier.h"
#include "core/fiber.h"
#include "core/signal_frame.h"

struct robust_list_head;

namespace ramie::host {

struct PendingSignal;

struct Thread : base::ListLink {
  Thread() = default;
  explicit Thread(core::Recycled recycled) : own(recycled) {}

  core::Fiber* fiber = nullptr;  // `own` below, or for the first thread the carrier's
  int tid = 0;                   // virtual, but for the first thread, which keeps its own
  uint16_t handled = 0;          // signals whose handlers have run on it
  uint16_t interruptions = 0;    // of these, without SA_RESTART
  int* clear_child_tid = nullptr;
  robust_list_head* robust_list = nullptr;

  // Signals (signal_state.h).  Written by the thread itself, `pending` by anybody.
  std::atomic<uint64_t> blocked = 0;  // the mask as the program sees it
  std::atomic<uint64_t> pending = 0;  // what is in its queue (signal_queue.h)
  std::atomic<uint64_t> awaited = 0;  // by the sigtimedwait under way, which blocked ones end too
  PendingSignal* queue = nullptr;
  PendingSignal* last_queued = nullptr;
  core::AlternateStack alternate_stack;

  // getrusage(): how much of its processor time was split, and what of that was the user's.
  int64_t usage_split = 0;
  int64_t usage_user = 0;

  // A child process runs in this thread's memory, on this thread's TCB (vfork, posix_spawn): its
  // calls are not ours.  Ends with the first call that the parent makes.
  bool lends_memory = false;

  // Families of its calls that the kernel makes (families.h), once it has a kernel thread of its
  // own: all of a thread that RAMIE_NATIVE names, else none.
  std::atomic<uint8_t> families_off = 0;

  // It has changed what the kernel keeps for its kernel thread alone (kernel_state.cc).
  std::atomic<bool> has_kernel_state = false;

  std::atomic<bool> ends = false;  // it is never bound any more (binding.h)

  uint8_t quick_reads = 0;  // counts those of files (ops/file_read.h)

  uint8_t yields : 4 = 0;       // in a row, since it ran for long (give_way.cc)
  uint8_t credentials : 4 = 0;  // which change of them it has made (kick.cc), the end of it
  uint16_t waits_at_yield = 0;  // the epoch of its fiber's waits then, the end of it

  core::WholeFiber own;
};
// A hundred thousand threads that sleep have as many of them: think twice of another line.
static_assert(sizeof(Thread) == 128 + sizeof(core::WholeFiber));

// Ids above the largest pid (2^22, man 5 proc, pid_max) and below what a futex word can hold. Other
// processes' threads have other ids.
inline constexpr int kFirstVirtualTid = 0x400001;

inline constexpr long kGetTidAddress = 40;  // PR_GET_TID_ADDRESS, man 2 prctl

// A thread with an id of its own; null when memory is exhausted.  Blocks are recycled, never
// unmapped.
[[nodiscard]] Thread* allocate_thread();
void free_thread(Thread* thread);

// The thread that runs now; null where none of the program's threads does.
[[nodiscard]] inline Thread* current_thread() {
  core::Fiber* fiber = core::current();
  return fiber == nullptr ? nullptr : static_cast<Thread*>(fiber->host);
}

// While one lives, no thread begins or ends, so that what find() gives stays that thread.  For
// short sections inside the runtime that don't park; a signal's handler may have one where it has
// interrupted the program's code.  The first thread may end, but its block stays.
class LiveThreads {
 public:
  LiveThreads();
  ~LiveThreads();
  LiveThreads(const LiveThreads&) = delete;
  LiveThreads& operator=(const LiveThreads&) = delete;

  // The one with this id, or null.
  [[nodiscard]] static Thread* find(int tid);
  // All but the first.
  static void for_each(void (*visit)(Thread& thread, void* argument), void* argument);
};

// A glance: the thread may end the next moment.
[[nodiscard]] bool is_thread_alive(int tid);

// True for ids that allocate_thread() gave out at some time.
[[nodiscard]] bool is_virtual_tid(int tid);

// Makes the calling thread, whose fiber is `fiber`, the one with the kernel's own id.
Thread* adopt_first_thread(core::Fiber& fiber);
[[nodiscard]] Thread* first_thread();

// As the kernel does at the end of a thread: locks of its robust list become EOWNERDEAD's
// (robust.cc).
void release_robust_locks(Thread& thread);
// The same at the end of the process, for all threads of which the kernel doesn't know.  The other
// carriers stop for good, so the caller ends the process next.
void release_all_robust_locks();

[[nodiscard]] uint64_t threads_created();

// Around fork: nobody changes the list of threads meanwhile.
void lock_threads_for_fork();
void unlock_threads_after_fork();

// After fork, in the child, with the lock held: there are no threads but the caller.
void reset_threads_after_fork();

}  // namespace ramie::host

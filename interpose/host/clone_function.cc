// A child is a kernel thread or a process of its own, which Ramie doesn't host.  But without
// CLONE_SETTLS it begins on the caller's TCB, by which it would be taken for the caller's fiber:
//
// - One with a copy of the memory is made as fork makes one, and becomes inert.
// - One that has the memory while the caller waits (CLONE_VM and CLONE_VFORK): the caller lends it,
//   as in vfork.
// - One that shares the memory (CLONE_VM) gets a TCB with a copy of the caller's static
//   thread-locals, on which no fiber runs.
#include "interpose/host/clone_function.h"

#include <link.h>
#include <sched.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/sys.h"
#include "core/bare_tcb.h"
#include "core/carrier.h"
#include "core/tls.h"
#include "interpose/host/entry.h"
#include "interpose/host/lend.h"
#include "interpose/host/native_threads.h"
#include "interpose/host/signal_state.h"
#include "interpose/host/stack_map.h"
#include "interpose/host/thread.h"
#include "interpose/real.h"

namespace ramie::host {
namespace {

// Who shares the memory; never freed, used again once its function has returned.
struct Guest {
  Guest* next;
  std::atomic<bool> used;
  uintptr_t fs_base;
  int (*function)(void*);
  void* argument;
};

constinit std::atomic<Guest*> guests = nullptr;

// Behind what libc keeps above the FS base.
constexpr uintptr_t kGuestAt = 4096 - 64;
static_assert(sizeof(Guest) <= 64);

Guest* find_guest() {
  for (Guest* guest = guests.load(std::memory_order_acquire); guest != nullptr;
       guest = guest->next) {
    if (!guest->used.exchange(true, std::memory_order_acquire)) {
      return guest;
    }
  }
  uintptr_t fs_base = core::make_bare_tcb();
  if (fs_base == 0) {
    return nullptr;
  }
  auto* guest = reinterpret_cast<Guest*>(fs_base + kGuestAt);
  guest->used.store(true, std::memory_order_relaxed);
  guest->fs_base = fs_base;
  guest->next = guests.load(std::memory_order_relaxed);
  while (!guests.compare_exchange_weak(guest->next, guest, std::memory_order_release,
                                       std::memory_order_relaxed)) {
  }
  return guest;
}

int copy_static_block(dl_phdr_info* object, size_t, void* argument) {
  auto fs_base = *static_cast<uintptr_t*>(argument);
  auto block = reinterpret_cast<uintptr_t>(object->dlpi_tls_data);
  uintptr_t here = core::tls::self();
  if (block == 0 || block >= here || here - block > core::kMostStaticTls) {
    return 0;
  }
  for (int i = 0; i < object->dlpi_phnum; ++i) {
    if (object->dlpi_phdr[i].p_type == PT_TLS) {
      __builtin_memcpy(reinterpret_cast<void*>(fs_base - (here - block)), object->dlpi_tls_data,
                       object->dlpi_phdr[i].p_memsz);
    }
  }
  return 0;
}

// All of it, as natively the child begins with: libc finds there the thread's id, its locks and its
// table of thread-locals.  But for the two words that say where it is.
void copy_thread_locals(uintptr_t fs_base) {
  constexpr size_t kWord = sizeof(uintptr_t);
  constexpr size_t kSelf = 2 * kWord;
  constexpr size_t kHeader = 7 * kWord;  // where libc says nothing of its size
  const unsigned* told = interpose::real.thread_size;
  size_t size = told != nullptr ? std::min<size_t>(*told, kGuestAt) : kHeader;
  const auto* from = reinterpret_cast<const char*>(core::tls::self());
  auto* to = reinterpret_cast<char*>(fs_base);
  __builtin_memcpy(to + kWord, from + kWord, kWord);
  __builtin_memcpy(to + kSelf + kWord, from + kSelf + kWord, size - kSelf - kWord);
  (void)dl_iterate_phdr(copy_static_block, &fs_base);
  *reinterpret_cast<core::Fiber**>(fs_base + static_cast<uintptr_t>(core::current_offset())) =
      nullptr;
}

// Its TCB may be another one's while it ends.
int run_guest(void* argument) {
  auto* guest = static_cast<Guest*>(argument);
  int status = guest->function(guest->argument);
  uint64_t all = ~uint64_t{0};
  (void)sys::call(SYS_rt_sigprocmask, SIG_BLOCK, sys::arg(&all), 0, sizeof all);
  guest->used.store(false, std::memory_order_release);  // pairs with find_guest()
  for (;;) {
    (void)sys::call(SYS_exit, status);
  }
}

int start_guest(CloneFunction libc, const CloneCall& call) {
  Guest* guest = find_guest();
  if (guest == nullptr) {
    errno = ENOMEM;
    return -1;
  }
  guest->function = call.function;
  guest->argument = call.argument;
  copy_thread_locals(guest->fs_base);
  bool clears_in_stack = (call.flags & CLONE_CHILD_CLEARTID) != 0 &&
                         is_stack_memory(reinterpret_cast<uintptr_t>(call.child_tid));
  if (clears_in_stack && !note_native_id(call.child_tid)) {
    guest->used.store(false, std::memory_order_release);
    errno = EAGAIN;
    return -1;
  }
  int result;
  {
    core::RuntimeSection section(*core::current());
    core::AsUsual for_the_child;
    show_mask_to_kernel(*current_thread());
    result = libc(run_guest, call.stack, call.flags | CLONE_SETTLS, guest, call.parent_tid,
                  reinterpret_cast<void*>(guest->fs_base), call.child_tid);
  }
  if (result < 0) {
    guest->used.store(false, std::memory_order_release);
  }
  return result;
}

// The child, on its own stack, may have become a process with threads.
[[noreturn]] void run_process(const CloneCall* call) {
  int status = call->function(call->argument);
  for (;;) {
    (void)host::call(SYS_exit, status);
  }
}

[[noreturn]] void go_on_at_its_stack(const CloneCall& call) {
  asm volatile(
      "mov %0, %%rsp\n\t"
      "xor %%ebp, %%ebp\n\t"
      "call *%1\n\t"
      "hlt"
      :
      : "r"(reinterpret_cast<uintptr_t>(call.stack) & ~uintptr_t{15}), "r"(&run_process), "D"(&call)
      : "memory");
  __builtin_unreachable();
}

int start_process(const CloneCall& call) {
  long result = host::call(SYS_clone, call.flags, 0, sys::arg(call.parent_tid),
                           sys::arg(call.child_tid), sys::arg(call.tls));
  if (result == 0) {
    go_on_at_its_stack(call);
  }
  return static_cast<int>(finish(result));
}

}  // namespace

int clone_function(CloneFunction libc, const CloneCall& call) {
  const core::Fiber* fiber = core::current();
  bool is_on_callers_tcb = fiber != nullptr && fiber->host != nullptr && call.function != nullptr &&
                           call.stack != nullptr && (call.flags & CLONE_SETTLS) == 0;
  if (is_on_callers_tcb) {
    // The child of vfork may do so, too: it is the kernel's.
    bool is_lent = current_thread()->lends_memory && is_borrower();
    // One that waits for the child as long as fork's locks are held would hold up all others.
    if ((call.flags & (CLONE_VM | CLONE_VFORK)) == 0 && !is_lent) {
      return start_process(call);
    }
    if ((call.flags & (CLONE_VFORK | CLONE_THREAD)) == CLONE_VFORK) {
      ramie_start_vfork();
    } else if (!is_lent) {
      return start_guest(libc, call);
    }
  }
  if (!is_borrower()) {
    core::keep_as_usual();
  }
  return libc(call.function, call.stack, call.flags, call.argument, call.parent_tid, call.tls,
              call.child_tid);
}

}  // namespace ramie::host

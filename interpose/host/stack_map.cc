#include "interpose/host/stack_map.h"

#include <sys/mman.h>

#include <cerrno>
#include <cstring>

#include "base/lock.h"
#include "base/sys.h"
#include "core/slab.h"
#include "event/section.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"

namespace ramie::host {
namespace {

using core::Slab;

constexpr size_t kPage = Slab::kPage;
constexpr size_t kSizes = 32;            // programs use one or two sizes of stack
constexpr size_t kPopulate = 2 * kPage;  // the TCB and the first frames
constexpr size_t kLargest = 1UL << 30;

struct Stacks {
  size_t size = 0;
  // Some slot has, or had, another guard than its lowest page, which its next user may not want.
  std::atomic<bool> has_odd_guards = false;
  Slab slab;
};

constinit base::Lock lock;
constinit Stacks all_stacks[kSizes];
constinit std::atomic<size_t> sizes_used = 0;
constinit std::atomic<size_t> tcb_size = 0;  // from the end of a stack to the end of its slot

Slab* slab_for(size_t size) {
  base::LockGuard guard(lock);
  size_t used = sizes_used.load(std::memory_order_relaxed);
  for (size_t i = 0; i < used; ++i) {
    if (all_stacks[i].size == size) {
      return &all_stacks[i].slab;
    }
  }
  if (used == kSizes) {
    return nullptr;
  }
  all_stacks[used].size = size;
  all_stacks[used].slab.configure(size, kPage, kPopulate);
  sizes_used.store(used + 1, std::memory_order_release);  // pairs with find()
  return &all_stacks[used].slab;
}

struct Place {
  Stacks* stacks = nullptr;
  Slab* slab = nullptr;
  char* slot = nullptr;
  size_t offset = 0;
};

Place find(uintptr_t address) {
  size_t used = sizes_used.load(std::memory_order_acquire);
  for (size_t i = 0; i < used; ++i) {
    if (char* slot = all_stacks[i].slab.slot_of(address)) {
      return {&all_stacks[i], &all_stacks[i].slab, slot,
              address - reinterpret_cast<uintptr_t>(slot)};
    }
  }
  return {};
}

bool is_whole_pages(size_t size) { return size % kPage == 0; }

}  // namespace

long mmap(const long* a) {
  auto size = static_cast<size_t>(a[1]);
  constexpr long kWanted = MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK;
  constexpr long kAllowed = kWanted | MAP_NORESERVE;
  bool is_stack = a[0] == 0 && a[2] == PROT_NONE && (a[3] & kWanted) == kWanted &&
                  (a[3] & ~kAllowed) == 0 && is_whole_pages(size) && size >= 4 * kPage &&
                  size <= kLargest;
  Slab* slab = is_stack ? slab_for(size) : nullptr;
  bool recycled = false;
  char* slot = slab == nullptr ? nullptr : slab->allocate(recycled);
  if (slot == nullptr) {
    return kernel(SYS_mmap, a);
  }
  if (recycled) {
    size_t dirty = tcb_size.load(std::memory_order_relaxed);
    memset(slot + size - dirty, 0, dirty);
  }
  return sys::arg(slot);
}

long munmap(const long* a) {
  Place place = find(static_cast<uintptr_t>(a[0]));
  if (place.slab == nullptr) {
    return kernel(SYS_munmap, a);
  }
  if (place.offset != 0 || static_cast<size_t>(a[1]) != place.slab->stride()) {
    return -EINVAL;  // a part of a stack; nobody but glibc has business here
  }
  event::Section section;  // for the slab's lock, also on a kernel thread that is no carrier
  place.slab->free(&place.slot, 1);
  return 0;
}

long mprotect(const long* a) {
  Place place = find(static_cast<uintptr_t>(a[0]));
  if (place.slab == nullptr) {
    return kernel(SYS_mprotect, a);
  }
  size_t end = place.offset + static_cast<size_t>(a[1]);
  bool opens = a[2] == (PROT_READ | PROT_WRITE);
  bool closes = a[2] == PROT_NONE && place.offset == 0;
  // The common case: all but the guard page becomes usable, which it is.
  bool is_usual =
      (opens && place.offset == kPage && end == place.slab->stride()) || (closes && end == kPage);
  if (is_usual && !place.stacks->has_odd_guards.load(std::memory_order_relaxed)) {
    return 0;
  }
  place.stacks->has_odd_guards.store(true, std::memory_order_relaxed);
  constexpr int kGuardInstall = 102;
  constexpr int kGuardRemove = 103;
  bool by_madvise = core::guard_kind()[1] == 'a';
  if (closes && by_madvise) {
    return sys::call(SYS_madvise, a[0], a[1], kGuardInstall);
  }
  if (opens && by_madvise) {
    (void)sys::call(SYS_madvise, a[0], a[1], kGuardRemove);
  }
  if (opens && end == place.slab->stride() && place.offset > 0) {
    auto below = static_cast<long>(place.offset);
    (void)(by_madvise ? sys::call(SYS_madvise, sys::arg(place.slot), below, kGuardInstall)
                      : sys::call(SYS_mprotect, sys::arg(place.slot), below, PROT_NONE));
  }
  return kernel(SYS_mprotect, a);
}

long madvise(const long* a) {
  // As a thread ends, glibc gives the unused part of its stack back: 30 to 50 us, for pages that
  // the next thread would fault in again.
  if (a[2] == MADV_DONTNEED && find(static_cast<uintptr_t>(a[0])).slab != nullptr) {
    return 0;
  }
  return kernel(SYS_madvise, a);
}

void note_stack_end(uintptr_t end) {
  Place place = find(end);
  if (place.slab != nullptr) {
    tcb_size.store(place.slab->stride() - place.offset, std::memory_order_relaxed);
  }
}

bool is_stack_memory(uintptr_t address) { return find(address).slab != nullptr; }

bool is_thread_memory(uintptr_t address) {
  if (is_stack_memory(address)) {
    return true;
  }
  event::Section section;  // for the lock of the list of threads
  return is_thread_alive(*reinterpret_cast<const int*>(address));
}

bool is_stack_guard(uintptr_t address, size_t& size) {
  Place place = find(address);
  if (place.slab == nullptr || place.offset >= kPage) {
    return false;
  }
  size = place.slab->stride() - kPage;
  return true;
}

void lock_stacks_for_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  lock.lock();
  for (Stacks& stacks : all_stacks) {
    stacks.slab.lock_for_fork();
  }
}

void unlock_stacks_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  for (Stacks& stacks : all_stacks) {
    stacks.slab.unlock_after_fork();
  }
  lock.unlock();
}

}  // namespace ramie::host

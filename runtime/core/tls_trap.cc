#include "core/tls_trap.h"

#include <sys/mman.h>
#include <ucontext.h>

#include "core/cpu_clock.h"
#include "core/tls_choice.h"

namespace ramie::core::tls {
namespace {

// Thread-locals lie on both sides of the FS base; no program has 32 MB of static ones.
constexpr size_t kMapSize = 64UL << 20;
constexpr size_t kSlots = 8192;
constexpr size_t kSlotStride = 64;

constinit std::atomic<uintptr_t> first_address = 0;  // of slot 0; 0 while there is no map
constinit std::atomic<Cpu*> slots[kSlots] = {};
constinit std::atomic<size_t> slots_used = 0;  // no later one was ever taken

// The carrier to which the kernel's FS base `fs` belongs, or null if `fs` isn't one of the map's.
Cpu* find(uintptr_t fs) {
  uintptr_t first = first_address.load(std::memory_order_acquire);  // pairs with reserve_trap_map()
  uintptr_t distance = fs - first;
  if (first == 0 || distance % kSlotStride != 0 || distance / kSlotStride >= kSlots) {
    return nullptr;
  }
  return slots[distance / kSlotStride].load(std::memory_order_acquire);  // pairs with claim_slot()
}

}  // namespace

int reserve_trap_map() {
  if (first_address.load(std::memory_order_acquire) != 0) {
    return 0;
  }
  long map = sys::call(SYS_mmap, 0, kMapSize, PROT_NONE,
                       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
  if (sys::failed(map)) {
    return static_cast<int>(map);
  }
  uintptr_t none = 0;
  if (!first_address.compare_exchange_strong(none, static_cast<uintptr_t>(map) + kMapSize / 2,
                                             std::memory_order_acq_rel)) {
    sys::call(SYS_munmap, map, kMapSize);  // another thread was first
  }
  return 0;
}

int claim_slot(Cpu& cpu) {
  for (size_t i = 0; i < kSlots; ++i) {
    Cpu* none = nullptr;
    if (slots[i].compare_exchange_strong(none, &cpu, std::memory_order_acq_rel)) {
      cpu.slot = static_cast<int>(i);
      size_t used = slots_used.load(std::memory_order_relaxed);
      while (used < i + 1 &&
             !slots_used.compare_exchange_weak(used, i + 1, std::memory_order_relaxed)) {
      }
      cpu.trap_fs = first_address.load(std::memory_order_acquire) + i * kSlotStride;
      return 0;
    }
  }
  return -EAGAIN;
}

void release_slot(Cpu& cpu) {
  if (cpu.slot >= 0) {
    slots[cpu.slot].store(nullptr, std::memory_order_release);
    cpu.slot = -1;
  }
}

long arm_trap(const Cpu& cpu) {
  // In between, the FS base is the trap's: a handler that runs there is repaired as usual.
  long told = tell_kernel(cpu.trap_fs);
  write_fs_base(cpu.current_fs);
  return told;
}

void forget_slots() {
  for (size_t i = slots_used.load(std::memory_order_relaxed); i > 0; --i) {
    slots[i - 1].store(nullptr, std::memory_order_relaxed);
  }
}

bool Livelock::trapped(const greg_t* registers) {
  uint64_t digest = 0;
  for (int i = REG_R8; i <= REG_RIP; ++i) {
    digest = (digest ^ static_cast<uint64_t>(registers[i])) * 0x9E3779B97F4A7C15U;
    digest ^= digest >> 29;
  }
  repeats_ = digest == state_ ? repeats_ + 1 : 1;
  state_ = digest;
  if (repeats_ == 1) {
    return false;
  }
  // Not at each first one, most of which are alone.
  int64_t used = repeats_ == 2 || repeats_ >= kLimit ? own_cpu_time() : 0;
  if (repeats_ == 2) {
    used_before_ = used;
  }
  if (repeats_ < kLimit) {
    return false;
  }
  bool is_one = used - used_before_ <= kMostUsed;
  repeats_ = 0;
  rows_ += is_one ? 1 : 0;
  return is_one;
}

bool handle_fault(const siginfo_t* info, const void* context) {
  if (first_address.load(std::memory_order_acquire) == 0) {
    return false;  // before asking for the FS base: rdfsbase may not even execute here
  }
  Cpu* cpu = find(read_fs_base());
  if (cpu == nullptr) {
    return false;
  }
  write_fs_base(cpu->current_fs);
  cpu->traps.store(cpu->traps.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  // A SIGSEGV that somebody sent only happened to find the FS base wrong.  A fault of the program's
  // own may do so too (preempted on its way here): run again, it comes back with the FS base right.
  if (info->si_code <= 0) {
    return false;
  }
  if (cpu->livelock.trapped(static_cast<const ucontext_t*>(context)->uc_mcontext.gregs)) {
    leave_livelock(*cpu);
  }
  return true;
}

}  // namespace ramie::core::tls

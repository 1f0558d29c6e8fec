#include "core/stack.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <new>

#include "base/check.h"
#include "base/config.h"
#include "base/one_thread.h"
#include "core/carrier.h"
#include "core/light_home.h"
#include "core/scheduler.h"
#include "core/slab.h"

namespace ramie::core {
namespace {

constexpr size_t kAlign = 64;
constexpr int kSmallest = 14;  // 16 kB
constexpr int kLargest = 31;   // 2 GB

// One slab for each power of two; a slot is a guard page, the stack, the closure, the control
// block.
constinit Slab slabs[kLargest + 1];
constinit base::Lock configuring;
constinit std::atomic<uint64_t> next_id = 1;
constexpr uint64_t kIdsAtOnce = 64;

// At least as large as the epoch of each fiber whose control block has been given back.
constinit std::atomic<uint64_t> forgotten_epoch = 0;

Fiber* fiber_at(char* slot, size_t stride) { return reinterpret_cast<Fiber*>(slot + stride) - 1; }

void forget(const Slab& slab, char* slot) {
  uint64_t state = fiber_at(slot, slab.stride())->state.load(std::memory_order_relaxed);
  uint64_t epoch = Fiber::epoch_of(state);
  uint64_t largest = forgotten_epoch.load(std::memory_order_relaxed);
  while (largest < epoch &&
         !forgotten_epoch.compare_exchange_weak(largest, epoch, std::memory_order_relaxed)) {
  }
}

// Of the slab whose slots are the smallest that hold `size` bytes.
int order_of(size_t size) {
  return std::max(static_cast<int>(std::bit_width(size - 1)), kSmallest);
}

Slab& slab_of(int order) {
  Slab& slab = slabs[order];
  if (slab.stride() == 0) {
    base::LockGuard guard(configuring);
    if (slab.stride() == 0) {
      slab.configure(size_t{1} << order, Slab::kPage, Slab::kPage, forget);
    }
  }
  return slab;
}

Carrier* this_carrier() {
  Fiber* self = current();
  return self == nullptr ? nullptr : self->carrier;
}

// Of a burst of fibers that take one stack after another: sends for what is written in the slot of
// one of the next, which is most of its control block, its closure and its first context.
void send_for_slot(const char* slot, size_t stride) {
  constexpr int kLine = 64;
  constexpr int kBefore = 2;  // the lines at the end, which only a fiber that waits needs
  constexpr int kLines = 9;
  for (int i = kBefore + 1; i <= kLines; ++i) {
    __builtin_prefetch(slot + stride - i * kLine, 1);
  }
}

[[gnu::noinline]] StackCache::Taken take_without_carrier(Slab& slab) {
  StackCache::Taken taken{};
  taken.slot = slab.allocate(taken.recycled);
  return taken;
}

[[gnu::always_inline]] inline StackCache::Taken take_slot(Carrier* carrier, Slab& slab,
                                                          size_t stride) {
  if (carrier == nullptr) [[unlikely]] {
    return take_without_carrier(slab);
  }
  StackCache::Taken taken = carrier->stacks.take(slab);
  if (const char* next = carrier->stacks.next_untouched()) [[unlikely]] {
    send_for_slot(next, stride);
  }
  return taken;
}

[[gnu::noinline]] void give_without_carrier(Slab& slab, char* slot) { slab.free(&slot, 1); }

[[gnu::always_inline]] inline void give_slot(Slab& slab, char* slot) {
  if (Carrier* carrier = this_carrier()) [[likely]] {
    carrier->stacks.give(slab, slot);
  } else {
    give_without_carrier(slab, slot);
  }
}

[[gnu::always_inline]] inline uint64_t take_id(Carrier* carrier) {
  if (carrier == nullptr) [[unlikely]] {
    return next_id.fetch_add(1, std::memory_order_relaxed);
  }
  FiberIds& ids = carrier->ids;
  if (ids.next == ids.end) [[unlikely]] {
    ids.next = next_id.fetch_add(kIdsAtOnce, std::memory_order_relaxed);
    ids.end = ids.next + kIdsAtOnce;
  }
  return ids.next++;
}

// Where another fiber has been, or nobody yet; see Slab::allocate().
[[gnu::noinline]] void begin_anew(Fiber* fiber, bool recycled) {
  if (!recycled) {
    new (fiber) Fiber;
  } else {  // after forget() was called for the slot: by the slab's lock
    new (fiber) Fiber(Recycled{}, forgotten_epoch.load(std::memory_order_relaxed));
  }
}

}  // namespace

Fiber* create_light_fiber(size_t stack_size, size_t extra_size, void** extra) {
  int order = order_of(stack_size == 0 ? base::config().stack_size : stack_size);
  if (order > kLargest) {
    return nullptr;
  }
  Slab& slab = slab_of(order);
  const size_t stride = size_t{1} << order;
  const Fiber* self = current();
  Carrier* carrier = self == nullptr ? nullptr : self->carrier;
  auto [slot, recycled] = take_slot(carrier, slab, stride);
  if (slot == nullptr) [[unlikely]] {
    return nullptr;
  }
  Fiber* fiber = fiber_at(slot, stride);
  if (recycled && fiber->state.load(std::memory_order_relaxed) != 0) [[likely]] {
    fiber->begin_again();
  } else {
    begin_anew(fiber, recycled);
  }
  fiber->id = take_id(carrier);
  fiber->parent = self == nullptr ? 0 : self->id;
  fiber->references.store(1, std::memory_order_relaxed);
  fiber->stack_order = static_cast<uint8_t>(order);

  auto top = reinterpret_cast<uintptr_t>(fiber);
  top = (top - extra_size) & ~(kAlign - 1);
  char* low = slot + Slab::kPage;
  if (top < reinterpret_cast<uintptr_t>(low) + Slab::kPage) [[unlikely]] {
    give_slot(slab, slot);
    return nullptr;
  }
  // What the last user had below its own `extra` may be this one's.
  SanitizerState::forget_frames(
      low, reinterpret_cast<uintptr_t>(fiber) - reinterpret_cast<uintptr_t>(low));
  if (extra != nullptr) {
    *extra = reinterpret_cast<void*>(top);
  }
  fiber->stack = {low, top - reinterpret_cast<uintptr_t>(low)};
  fiber->context = make_context(reinterpret_cast<void*>(top), fiber->stack.size, fiber_main);
  return fiber;
}

[[gnu::always_inline]] inline void prepare(Fiber& fiber, Carrier& spawner, Fiber::Entry entry,
                                           bool of_workers) {
  fiber.signal_mask = current()->signal_mask;
  fiber.sanitizer.create(fiber.stack.base, fiber.stack.size);
  fiber.entry = entry;
  fiber.of_workers = of_workers;
  if (of_workers) [[unlikely]] {
    spawner.born.store(spawner.born.load(std::memory_order_relaxed) + 1, std::memory_order_relaxed);
  }
  // Its run.  Nobody else has the fiber yet.
  fiber.references.store(fiber.references.load(std::memory_order_relaxed) + 1,
                         std::memory_order_relaxed);
}

void prepare_light_fiber(Fiber& fiber, Carrier& spawner, Fiber::Entry entry) {
  prepare(fiber, spawner, entry, true);
}

[[gnu::always_inline]] inline void settle(Fiber& fiber, Fiber::Entry entry) {
  Carrier& carrier = home_for_light_fibers();
  live_on(fiber, carrier);
  prepare(fiber, carrier, entry, carrier.is_worker.load(std::memory_order_relaxed));
}

void settle_light_fiber(Fiber& fiber, Fiber::Entry entry) { settle(fiber, entry); }

void start_light_fiber(Fiber& fiber, Fiber::Entry entry) {
  settle(fiber, entry);
  make_ready(fiber);
}

void retain(Fiber& fiber) { fiber.references.fetch_add(1, std::memory_order_relaxed); }

void release(Fiber& fiber) {
  // Acquire and release: what either holder did comes before the reuse of the stack.  Only who
  // holds a reference makes another, so the last holder needs no read-modify-write.
  bool is_last = fiber.references.load(std::memory_order_acquire) == 1;
  if (is_last) {
    fiber.references.store(0, std::memory_order_relaxed);
  }
  if (is_last || base::fetch_add(fiber.references, ~0U, std::memory_order_acq_rel) == 1) {
    fiber.sanitizer.destroy();
    // Not by what `stack` says: that is on a line of memory which nobody else needs at the end.
    char* end = reinterpret_cast<char*>(&fiber + 1);
    give_slot(slabs[fiber.stack_order], end - (size_t{1} << fiber.stack_order));
  }
}

Fiber* fiber_of_guard(uintptr_t address) {
  for (Slab& slab : slabs) {
    char* slot = slab.stride() == 0 ? nullptr : slab.slot_of(address);
    if (slot != nullptr) {
      bool in_guard = address < reinterpret_cast<uintptr_t>(slot) + Slab::kPage;
      return in_guard ? fiber_at(slot, slab.stride()) : nullptr;
    }
  }
  return nullptr;
}

void lock_light_stacks_for_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  configuring.lock();
  for (Slab& slab : slabs) {
    slab.lock_for_fork();
  }
}

void unlock_light_stacks_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  for (Slab& slab : slabs) {
    slab.unlock_after_fork();
  }
  configuring.unlock();
}

void reset_light_stacks_after_fork() {
  configuring.reset();
  for (Slab& slab : slabs) {
    slab.reset_after_fork();
  }
}

void for_each_light_fiber(void (*visit)(Fiber&, void*), void* argument) {
  struct Request {
    void (*visit)(Fiber&, void*);
    void* argument;
    size_t stride;
  };
  for (Slab& slab : slabs) {
    if (slab.stride() == 0) {
      continue;
    }
    Request request{visit, argument, slab.stride()};
    slab.for_each(
        [](char* slot, void* context) {
          auto& wanted = *static_cast<Request*>(context);
          Fiber& fiber = *fiber_at(slot, wanted.stride);
          if (fiber.entry != nullptr && fiber.references.load(std::memory_order_acquire) > 0) {
            wanted.visit(fiber, wanted.argument);
          }
        },
        &request);
  }
}

}  // namespace ramie::core

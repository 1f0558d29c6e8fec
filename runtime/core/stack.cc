#include "core/stack.h"

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstddef>
#include <iterator>
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

// A control block is followed by room for the task, as large as that of most needs; more is on the
// stack.
constexpr size_t kBlockSizes[] = {sizeof(Fiber) + 64, sizeof(Fiber) + 128, sizeof(Fiber) + 192,
                                  sizeof(Fiber) + 320};
constexpr size_t kBlockKinds = std::size(kBlockSizes);

// One slab for each power of two; a slot is a guard page, the stack, what has no room beside the
// control block, the wait state.
constinit Slab slabs[kLargest + 1];
constinit Slab blocks[kBlockKinds];
constinit base::Lock configuring;
constinit std::atomic<uint64_t> next_id = 1;
constexpr uint64_t kIdsAtOnce = 64;

WaitState* wait_state_at(char* slot, size_t stride) {
  return reinterpret_cast<WaitState*>(slot + stride) - 1;
}

// Of the slab whose slots are the smallest that hold `size` bytes.
int order_of(size_t size) {
  return std::max(static_cast<int>(std::bit_width(size - 1)), kSmallest);
}

void configure_once(Slab& slab, size_t stride, size_t guard, size_t populate) {
  base::LockGuard lock(configuring);
  if (slab.stride() == 0) {
    slab.configure(stride, guard, populate);
  }
}

Slab& slab_of(int order) {
  Slab& slab = slabs[order];
  if (slab.stride() == 0) [[unlikely]] {
    configure_once(slab, size_t{1} << order, Slab::kPage, Slab::kPage);
  }
  return slab;
}

Carrier* this_carrier() {
  Fiber* self = current();
  return self == nullptr ? nullptr : self->carrier;
}

// Of a burst of fibers that take one block after another: sends for one of the next.
void send_for_block(const char* block) {
  constexpr size_t kLine = 64;
  for (size_t i = 0; i < kBlockSizes[0]; i += kLine) {
    __builtin_prefetch(block + i, 1);
  }
}

[[gnu::noinline]] char* take_without_carrier(Slab& slab) {
  bool recycled = false;
  return slab.allocate(recycled);
}

// Which has room for `size` bytes, or kBlockKinds.
[[gnu::always_inline]] inline size_t kind_with_room(size_t size) {
  constexpr size_t kBefore = offsetof(Fiber, room);
  size_t kind = 0;
  while (kind < kBlockKinds && kBefore + size > kBlockSizes[kind]) {
    ++kind;
  }
  return kind;
}

[[gnu::always_inline]] inline char* take_block(Carrier* carrier, size_t kind) {
  Slab& slab = blocks[kind];
  if (slab.stride() == 0) [[unlikely]] {
    configure_once(slab, kBlockSizes[kind], 0, kBlockSizes[kind]);
  }
  if (carrier == nullptr) [[unlikely]] {
    return take_without_carrier(slab);
  }
  char* block = carrier->blocks.take(slab);
  if (const char* next = carrier->blocks.next_untouched()) [[unlikely]] {
    send_for_block(next);
  }
  return block;
}

[[gnu::noinline]] void give_without_carrier(Slab& slab, char* slot) { slab.free(&slot, 1); }

void give_block(Fiber& fiber) {
  char* block = reinterpret_cast<char*>(&fiber);
  Slab& slab = blocks[fiber.block_kind];
  if (Carrier* carrier = this_carrier()) [[likely]] {
    carrier->blocks.give(slab, block);
  } else {
    give_without_carrier(slab, block);
  }
}

// A stack for each fiber is promised when it is made, so that it can be told then if there is none.
[[gnu::always_inline]] inline bool promise_stack(Carrier* carrier, Slab& slab) {
  return carrier == nullptr ? slab.promise(1) : carrier->stacks.promise(slab);
}

void forget_promise(Carrier* carrier, Slab& slab) {
  if (carrier == nullptr) [[unlikely]] {
    slab.take_promise_back(1);
  } else {
    carrier->stacks.take_promise_back(slab);
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

// Who ends leaves its wait state as the next one needs it, but for what is saved there, and for
// scopes that may have outlived their fiber.  Memory that was given back is all zeroes.
[[gnu::always_inline]] inline void begin_wait_state(WaitState& wait, Fiber& fiber) {
  if (wait.fiber == nullptr) [[unlikely]] {
    new (&wait) WaitState;
  }
  wait.fiber = &fiber;
  wait.scopes = nullptr;
  wait.scopes_end = {};
}

// With `extra_size` bytes between the stack and the wait state: answers where these are.
[[gnu::always_inline]] inline char* place(Fiber& fiber, char* slot, size_t extra_size) {
  WaitState* wait = wait_state_at(slot, size_t{1} << fiber.stack_order);
  auto top = (reinterpret_cast<uintptr_t>(wait) - extra_size) & ~(kAlign - 1);
  char* low = slot + Slab::kPage;
  size_t size = top - reinterpret_cast<uintptr_t>(low);
  // What the last user had there may be this one's.
  SanitizerState::forget_frames(low, reinterpret_cast<char*>(wait + 1) - low);
  begin_wait_state(*wait, fiber);
  fiber.wait = wait;
  fiber.stack = {low, size};
  fiber.sanitizer.create(low, size);
  fiber.context = make_context(reinterpret_cast<void*>(top), size, fiber_main);
  return reinterpret_cast<char*>(top);
}

// The same on a stack that it keeps for as long as there is a handle.  Null if there is no room.
void* place_with_extra(Fiber& fiber, Carrier* carrier, size_t extra_size) {
  Slab& slab = slabs[fiber.stack_order];
  if (extra_size > slab.stride() - 2 * Slab::kPage - sizeof(WaitState)) {
    return nullptr;
  }
  char* slot = carrier == nullptr ? take_without_carrier(slab) : carrier->stacks.take(slab);
  fiber.keeps_stack = 1;
  return slot == nullptr ? nullptr : place(fiber, slot, extra_size);
}

[[gnu::always_inline]] inline void give_stack_back(Fiber& fiber, Carrier* carrier) {
  // Not by what `stack` says: that is on a line of memory which nobody else needs at the end.
  char* slot = reinterpret_cast<char*>(fiber.wait + 1) - (size_t{1} << fiber.stack_order);
  Slab& slab = slabs[fiber.stack_order];
  fiber.wait = nullptr;
  fiber.sanitizer.destroy();
  if (carrier != nullptr) [[likely]] {
    carrier->stacks.give_promised(slab, slot);
  } else {
    give_without_carrier(slab, slot);
    slab.take_promise_back(1);
  }
}

// Of one that did not run, or kept its stack.
[[gnu::noinline]] void give_all_back(Fiber& fiber) {
  Carrier* carrier = this_carrier();
  if (fiber.wait != nullptr) {
    give_stack_back(fiber, carrier);
  } else {
    forget_promise(carrier, slabs[fiber.stack_order]);
  }
}

}  // namespace

Fiber* create_light_fiber(size_t stack_size, size_t extra_size, void** extra) {
  int order = order_of(stack_size == 0 ? base::config().stack_size : stack_size);
  if (order > kLargest) {
    return nullptr;
  }
  Slab& slab = slab_of(order);
  const Fiber* self = current();
  Carrier* carrier = self == nullptr ? nullptr : self->carrier;
  if (!promise_stack(carrier, slab)) [[unlikely]] {
    return nullptr;
  }
  size_t kind = kind_with_room(extra_size);
  bool has_room = kind < kBlockKinds;
  kind = has_room ? kind : 0;
  auto* fiber = reinterpret_cast<Fiber*>(take_block(carrier, kind));
  if (fiber == nullptr) [[unlikely]] {
    forget_promise(carrier, slab);
    return nullptr;
  }
  if (fiber->state.load(std::memory_order_relaxed) != 0) [[likely]] {
    fiber->begin_again();
  } else {
    new (fiber) Fiber;  // the first one there
  }
  fiber->id = take_id(carrier);
  fiber->parent = self == nullptr ? 0 : self->id;
  fiber->references.store(1, std::memory_order_relaxed);
  fiber->stack_order = static_cast<uint8_t>(order);
  fiber->block_kind = static_cast<uint8_t>(kind);
  if (has_room) [[likely]] {
    if (extra != nullptr) {
      *extra = fiber->room;
    }
  } else if (*extra = place_with_extra(*fiber, carrier, extra_size); *extra == nullptr) {
    release(*fiber);
    return nullptr;
  }
  return fiber;
}

bool place_on_stack(Fiber& fiber) { return place_with_extra(fiber, this_carrier(), 0) != nullptr; }

Fiber& enter_stack(Fiber& fiber) {
  char* slot = fiber.carrier->stacks.take(slabs[fiber.stack_order]);
  if (slot == nullptr) [[unlikely]] {
    base::fail("no memory is left for the stack of a fiber that was spawned", __FILE__, __LINE__);
  }
  (void)place(fiber, slot, 0);
  return fiber;
}

[[gnu::always_inline]] inline void prepare(Fiber& fiber, Carrier& spawner, Fiber::Entry entry,
                                           bool of_workers) {
  fiber.signal_mask = current()->signal_mask;
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
  // Acquire and release: what either holder did comes before the reuse of the block.  Only who
  // holds a reference makes another, so the last holder needs no read-modify-write.
  bool is_last = fiber.references.load(std::memory_order_acquire) == 1;
  if (is_last) {
    fiber.references.store(0, std::memory_order_relaxed);
  }
  if (is_last || base::fetch_add(fiber.references, ~0U, std::memory_order_acq_rel) == 1) {
    if (fiber.wait != nullptr || fiber.context == nullptr) [[unlikely]] {
      give_all_back(fiber);
    }
    give_block(fiber);
  }
}

void end_run(Fiber& fiber) {
  if (fiber.keeps_stack == 0) [[likely]] {
    give_stack_back(fiber, fiber.carrier);
  }
  release(fiber);
}

Fiber* fiber_of_guard(uintptr_t address) {
  for (Slab& slab : slabs) {
    char* slot = slab.stride() == 0 ? nullptr : slab.slot_of(address);
    if (slot != nullptr) {
      bool in_guard = address < reinterpret_cast<uintptr_t>(slot) + Slab::kPage;
      return in_guard ? wait_state_at(slot, slab.stride())->fiber : nullptr;
    }
  }
  return nullptr;
}

void lock_light_stacks_for_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  configuring.lock();
  for (Slab& slab : slabs) {
    slab.lock_for_fork();
  }
  for (Slab& slab : blocks) {
    slab.lock_for_fork();
  }
}

void unlock_light_stacks_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  for (Slab& slab : blocks) {
    slab.unlock_after_fork();
  }
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
  for (Slab& slab : blocks) {
    slab.reset_after_fork();
  }
}

void for_each_light_fiber(void (*visit)(Fiber&, void*), void* argument) {
  struct Request {
    void (*visit)(Fiber&, void*);
    void* argument;
  } request{visit, argument};
  for (Slab& slab : blocks) {
    slab.for_each(
        [](char* block, void* context) {
          auto& wanted = *static_cast<Request*>(context);
          Fiber& fiber = *reinterpret_cast<Fiber*>(block);
          if (fiber.entry != nullptr && fiber.references.load(std::memory_order_acquire) > 0) {
            wanted.visit(fiber, wanted.argument);
          }
        },
        &request);
  }
}

}  // namespace ramie::core

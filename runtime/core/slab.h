// Slots of equal size, cut from large lazily touched mappings.  One mapping holds many slots, so
// that the number of mappings (vm.max_map_count, 65,530) doesn't limit the number of stacks.  Slots
// are recycled last in, first out, and never unmapped; the memory of those that nobody has wanted
// for a while goes back (core/trimming.h), unless they are smaller than a page.
//
// Guard pages, for stacks: MADV_GUARD_INSTALL (Linux 6.13), which splits no mapping; else mprotect,
// which costs two mappings a slot.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/lock.h"

namespace ramie::core {

class Slab {
 public:
  static constexpr size_t kPage = 4096;

  // Slots of `stride` bytes, the lowest `guard` bytes of each guarded.  `populate` bytes at the top
  // of each new slot are given memory in advance, a batch at a time, which costs less than a page
  // fault for each.  All in pages, or the stride is less than one and the whole slot is populated.
  void configure(size_t stride, size_t guard, size_t populate);

  // 0 before configure().
  [[nodiscard]] size_t stride() const { return stride_.load(std::memory_order_acquire); }

  // The low end of a slot (its guard included), or null when memory is exhausted.  `recycled` tells
  // whether it was used before: then it holds what its last user left.
  [[nodiscard]] char* allocate(bool& recycled);
  // Promises addresses for so many slots that are allocated later, as long as nobody allocates, or
  // keeps free ones, without such a promise.  False when they are exhausted.
  [[nodiscard]] bool promise(uint32_t count);
  // So many of them are not needed, or were allocated and are free again.
  void take_promise_back(uint32_t count);
  // Up to `count` slots that were used before; how many.
  [[nodiscard]] uint32_t allocate_recycled(char** slots, uint32_t count);
  void free(char* const* slots, uint32_t count);

  // Gives back memory of half of the slots that have been free since the last time, but for
  // kReserve; a part of it: true if there is more to be done, soon.
  [[nodiscard]] bool trim();
  // Whether there may be some to give back.
  [[nodiscard]] bool has_spare() const {
    return free_count_.load(std::memory_order_relaxed) >
           clean_count_.load(std::memory_order_relaxed) + kReserve;
  }
  // Of all whose memory goes back, and the one after this.
  [[nodiscard]] static Slab* first();
  [[nodiscard]] Slab* next() const { return next_; }

  // The slot that contains the address, or null.
  [[nodiscard]] char* slot_of(uintptr_t address) const;

  // Calls visit for each slot; those that were never handed out hold zeroes.
  void for_each(void (*visit)(char* slot, void* argument), void* argument) const;

  // Around fork, so that the child finds it whole, whoever uses it at that moment.
  void lock_for_fork() RAMIE_ACQUIRE(lock_) { lock_.lock(); }
  void unlock_after_fork() RAMIE_RELEASE(lock_) { lock_.unlock(); }

  // In the child of a fork that was not locked.  Its copy was made page by page while others may
  // have taken and given back: so it takes new slots only.
  void reset_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS;

 private:
  struct Chunk {
    char* base;
    uint32_t slots;
  };
  static constexpr uint32_t kMaxChunks = 1U << 18;
  static constexpr size_t kReserve = 256;

  // By `wanted` slots at least, as far as a chunk can have so many.
  bool grow(uint32_t wanted) RAMIE_REQUIRES(lock_);
  [[nodiscard]] bool find_fresh() RAMIE_REQUIRES(lock_);
  void guard_slots(char* base, uint32_t count);
  void populate_slots(char* base, uint32_t count);
  void take_from_free(uint32_t count) RAMIE_REQUIRES(lock_);
  [[nodiscard]] size_t count_unwanted() const RAMIE_REQUIRES(lock_);
  [[nodiscard]] bool give_back_memory(uint32_t count) RAMIE_REQUIRES(lock_);

  base::Lock lock_;
  std::atomic<size_t> stride_ = 0;  // written once, after the two below
  size_t guard_ = 0;
  size_t populate_ = 0;
  Slab* next_ = nullptr;                           // written once
  char** free_ RAMIE_GUARDED_BY(lock_) = nullptr;  // a stack of slots, lazily touched
  std::atomic<size_t> free_count_ = 0;             // written under the lock, as is the next one
  std::atomic<size_t> clean_count_ = 0;  // of these, the lowest, whose memory was given back
  size_t least_free_ RAMIE_GUARDED_BY(lock_) = 0;  // that there were since the last time of trim()
  size_t to_trim_ RAMIE_GUARDED_BY(lock_) = 0;     // what is left to be done of that time
  Chunk* chunks_ = nullptr;  // grows only; entries below chunk_count_ don't change
  std::atomic<uint32_t> chunk_count_ = 0;
  uint32_t slot_count_ RAMIE_GUARDED_BY(lock_) = 0;  // of all chunks
  uint32_t promised_ RAMIE_GUARDED_BY(lock_) = 0;    // of these
  uint32_t begun_ RAMIE_GUARDED_BY(lock_) = 0;       // chunks of which slots were handed out
  uint32_t fresh_left_ RAMIE_GUARDED_BY(lock_) = 0;  // slots of the last of these that never were
  uint32_t unprepared_ RAMIE_GUARDED_BY(lock_) = 0;  // of these, the last ones: no guard, no memory
};

// How guards are made on this host: "madvise" or "mprotect".
[[nodiscard]] const char* guard_kind();

}  // namespace ramie::core

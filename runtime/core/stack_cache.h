// Slots of one slab which are free and which this carrier keeps, for the next fibers that it makes:
// taken and given without a lock, the last one first, since it is still in the processor's cache.
//
// Owned by the carrier's kernel thread, which is inside the runtime.  Other slabs than the one it
// keeps slots of are served by themselves.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/slab.h"

namespace ramie::core {

class StackCache {
 public:
  // As Slab::allocate() and Slab::free().
  struct Taken {
    char* slot;
    bool recycled;
  };
  [[nodiscard, gnu::always_inline]] Taken take(Slab& slab) {
    if (&slab != slab_ || count_ == 0) [[unlikely]] {
      return take_from(slab);
    }
    return {slots_[--count_], true};
  }

  // After take(): a slot that will be taken soon, and that nobody has had since it came from the
  // slab; so it is hardly in the processor's cache.  Null mostly: of many in a row, each once.
  [[nodiscard]] const char* next_untouched() {
    if (count_ >= untouched_) {
      return nullptr;
    }
    untouched_ = count_;
    return count_ < kAhead ? nullptr : slots_[count_ - kAhead];
  }

  [[gnu::always_inline]] void give(Slab& slab, char* slot) {
    if (&slab != slab_) [[unlikely]] {
      give_to(slab, slot);
      return;
    }
    if (count_ == kCapacity) [[unlikely]] {
      give_oldest_back();
    }
    slots_[count_++] = slot;
  }

  void give_all_back() {
    if (count_ != 0) {
      slab_->free(slots_, count_);
      count_ = 0;
      untouched_ = 0;
    }
  }

 private:
  static constexpr uint32_t kCapacity = 64;
  static constexpr uint32_t kBatch = 32;
  static constexpr uint32_t kAhead = 4;

  // Not inline: what these pass by address would be in memory on the short way as well.
  [[gnu::noinline]] Taken take_from(Slab& slab) {
    if (slab_ == nullptr) {
      slab_ = &slab;
    }
    if (&slab == slab_) {
      count_ = slab.allocate_recycled(slots_, kBatch);
      untouched_ = count_;
      if (count_ != 0) {
        return {slots_[--count_], true};
      }
    }
    Taken taken{};
    taken.slot = slab.allocate(taken.recycled);
    return taken;
  }

  [[gnu::noinline]] static void give_to(Slab& slab, char* slot) { slab.free(&slot, 1); }

  // Their lines of the processor's cache are gone already.
  [[gnu::noinline]] void give_oldest_back() {
    slab_->free(slots_, kBatch);
    count_ -= kBatch;
    untouched_ -= std::min(untouched_, kBatch);
    for (uint32_t i = 0; i < count_; ++i) {
      slots_[i] = slots_[i + kBatch];
    }
  }

  Slab* slab_ = nullptr;
  uint32_t count_ = 0;
  uint32_t untouched_ = 0;  // how many there are at most below the lowest that was taken
  char* slots_[kCapacity];
};

}  // namespace ramie::core

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
  [[nodiscard]] char* take(Slab& slab, bool& recycled) {
    if (slab_ == nullptr) {
      slab_ = &slab;
    }
    if (&slab == slab_) {
      if (count_ == 0) {
        count_ = slab.allocate_recycled(slots_, kBatch);
        untouched_ = count_;
      }
      if (count_ != 0) {
        recycled = true;
        return slots_[--count_];
      }
    }
    return slab.allocate(recycled);
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

  void give(Slab& slab, char* slot) {
    if (&slab != slab_) {
      slab.free(&slot, 1);
      return;
    }
    if (count_ == kCapacity) {
      // The oldest go: their lines of the processor's cache are gone already.
      slab.free(slots_, kBatch);
      count_ -= kBatch;
      untouched_ -= std::min(untouched_, kBatch);
      for (uint32_t i = 0; i < count_; ++i) {
        slots_[i] = slots_[i + kBatch];
      }
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

  Slab* slab_ = nullptr;
  uint32_t count_ = 0;
  uint32_t untouched_ = 0;  // how many there are at most below the lowest that was taken
  char* slots_[kCapacity];
};

}  // namespace ramie::core

// Slots of one slab which are free and which this carrier keeps, for the next fibers that it makes:
// taken and given without a lock, the last one first, since it is still in the processor's cache.
//
// Owned by the carrier's kernel thread, which is inside the runtime.  Other slabs than the one it
// keeps slots of are served by themselves.
#pragma once

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
      }
      if (count_ != 0) {
        recycled = true;
        return slots_[--count_];
      }
    }
    return slab.allocate(recycled);
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
    }
  }

 private:
  static constexpr uint32_t kCapacity = 64;
  static constexpr uint32_t kBatch = 32;

  Slab* slab_ = nullptr;
  uint32_t count_ = 0;
  char* slots_[kCapacity];
};

}  // namespace ramie::core

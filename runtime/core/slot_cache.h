// Slots of one slab which are free and which this carrier keeps, for the next fibers that it makes:
// taken and given without a lock, the last one first, since it is still in the processor's cache.
// And promises of slots, likewise: of those that it keeps itself as well, so that what it keeps is
// missing to nobody.
//
// Owned by the carrier's kernel thread, which is inside the runtime.  Other slabs than the one it
// keeps slots of are served by themselves.
#pragma once

#include <algorithm>
#include <cstdint>

#include "core/slab.h"

namespace ramie::core {

class SlotCache {
 public:
  // As Slab::allocate() and Slab::free().
  [[nodiscard, gnu::always_inline]] char* take(Slab& slab) {
    if (&slab != slab_ || count_ == 0) [[unlikely]] {
      return take_from(slab);
    }
    return slots_[--count_];
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

  // As Slab::promise() and Slab::take_promise_back(), of one.
  [[nodiscard, gnu::always_inline]] bool promise(Slab& slab) {
    if (&slab != slab_ || promises_ == 0) [[unlikely]] {
      return promise_by(slab);
    }
    --promises_;
    return true;
  }

  [[gnu::always_inline]] void take_promise_back(Slab& slab) {
    if (&slab != slab_ || promises_ == kCapacity) [[unlikely]] {
      take_promises_back(slab);
    } else {
      ++promises_;
    }
  }

  // Both, of a slot that was promised.
  [[gnu::always_inline]] void give_promised(Slab& slab, char* slot) {
    if (&slab == slab_ && count_ < kCapacity && promises_ < kCapacity) [[likely]] {
      slots_[count_++] = slot;
      ++promises_;
    } else {
      give_slowly(slab, slot);
    }
  }

  void give_all_back() {
    if (count_ != 0) {
      slab_->free(slots_, count_);
      count_ = 0;
      untouched_ = 0;
    }
    if (has_promise_) {
      slab_->take_promise_back(kCapacity + promises_);
      has_promise_ = false;
      promises_ = 0;
      slab_ = nullptr;
    }
  }

 private:
  static constexpr uint32_t kCapacity = 64;
  static constexpr uint32_t kBatch = 32;
  static constexpr uint32_t kAhead = 4;

  // Not inline: what these pass by address would be in memory on the short way as well.
  [[gnu::noinline]] char* take_from(Slab& slab) {
    if (slab_ == nullptr && slab.stride() < Slab::kPage) {  // of these none are promised
      slab_ = &slab;
    }
    if (&slab == slab_) {
      count_ = slab.allocate_recycled(slots_, kBatch);
      untouched_ = count_;
      if (count_ != 0) {
        return slots_[--count_];
      }
    }
    bool recycled = false;
    return slab.allocate(recycled);
  }

  [[gnu::noinline]] static void give_to(Slab& slab, char* slot) { slab.free(&slot, 1); }

  [[gnu::noinline]] void give_slowly(Slab& slab, char* slot) {
    give(slab, slot);
    take_promise_back(slab);
  }

  [[gnu::noinline]] bool promise_by(Slab& slab) {
    constexpr size_t kLargest = 1UL << 20;  // of larger ones, this many would be too much
    if (slab_ == nullptr && slab.stride() <= kLargest && slab.promise(kCapacity)) {
      slab_ = &slab;
      has_promise_ = true;
    }
    if (&slab == slab_ && slab.promise(kBatch)) {
      promises_ += kBatch - 1;
      return true;
    }
    return slab.promise(1);
  }

  [[gnu::noinline]] void take_promises_back(Slab& slab) {
    if (&slab == slab_) {
      slab.take_promise_back(kBatch);
      promises_ -= kBatch - 1;
    } else {
      slab.take_promise_back(1);
    }
  }

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
  bool has_promise_ = false;  // of slots, for those that it keeps
  uint32_t count_ = 0;
  uint32_t promises_ = 0;
  uint32_t untouched_ = 0;  // how many there are at most below the lowest that was taken
  char* slots_[kCapacity];
};

}  // namespace ramie::core

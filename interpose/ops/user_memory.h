// The program's memory, as far as an operation reads it itself instead of letting the kernel do so.
//
// The kernel answers EFAULT for an address that isn't mapped; a read of ours would end the process.
// What can be told from the address alone is answered here; an address that looks right and isn't
// mapped is a limit (docs/limits.md).
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <cstring>

#include "base/sys.h"

namespace ramie::ops {

[[nodiscard]] constexpr bool looks_mapped(long address) {
  constexpr long kFirstPage = 4096;
  constexpr long kEndOfUserSpace = 1L << 47;
  return address >= kFirstPage && address < kEndOfUserSpace;
}

// Copies a T from the program; false (nothing copied) stands for EFAULT.
template <class T>
[[nodiscard]] bool copy_in(T& out, long address) {
  if (!looks_mapped(address)) {
    return false;
  }
  memcpy(&out, reinterpret_cast<const void*>(address), sizeof out);
  return true;
}

// Copies a T to the program, at an address that copy_in() or the kernel has accepted.
template <class T>
void copy_out(long address, const T& value) {
  memcpy(reinterpret_cast<void*>(address), &value, sizeof value);
}

// Room for an array whose size the program decides: a small one on the fiber's stack, which may be
// a small one itself, a large one in a mapping of its own.
template <class T, size_t kLocal>
class Scratch {
 public:
  explicit Scratch(size_t count) : count_(count) {
    if (count > kLocal) {
      long mapped = sys::call(SYS_mmap, 0, static_cast<long>(bytes()), PROT_READ | PROT_WRITE,
                              MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
      items_ = sys::failed(mapped) ? nullptr : reinterpret_cast<T*>(mapped);
    }
  }
  ~Scratch() {
    if (items_ != local_ && items_ != nullptr) {
      (void)sys::call(SYS_munmap, sys::arg(items_), static_cast<long>(bytes()));
    }
  }
  Scratch(const Scratch&) = delete;
  Scratch& operator=(const Scratch&) = delete;

  // False when there is no memory: -ENOMEM.
  [[nodiscard]] explicit operator bool() const { return items_ != nullptr; }
  T& operator[](size_t i) { return items_[i]; }
  T* data() { return items_; }

 private:
  [[nodiscard]] size_t bytes() const { return count_ * sizeof(T); }

  T local_[kLocal];
  T* items_ = local_;
  size_t count_;
};

}  // namespace ramie::ops

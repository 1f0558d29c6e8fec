// A growing array on pages of its own, for the patcher's tables.
//
// The patcher runs inside of pthread_create, possibly inside of an allocator's own start-up, so it
// must not allocate.  Address space for the largest size is reserved at once; memory is used as the
// array fills.
#pragma once

#include <sys/mman.h>

#include <cstddef>
#include <cstdint>
#include <type_traits>
#include <utility>

#include "base/sys.h"

namespace ramie::patch {

template <class T>
class ScratchArray {
  static_assert(std::is_trivially_copyable_v<T> && std::is_trivially_destructible_v<T>);

 public:
  explicit ScratchArray(std::size_t capacity) {
    const long result =
        sys::call(SYS_mmap, 0, static_cast<long>(capacity * sizeof(T)), PROT_READ | PROT_WRITE,
                  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (sys::failed(result)) return;
    data_ = reinterpret_cast<T*>(result);
    capacity_ = capacity;
  }

  ~ScratchArray() {
    if (data_ != nullptr) {
      sys::call(SYS_munmap, sys::arg(data_), static_cast<long>(capacity_ * sizeof(T)));
    }
  }

  ScratchArray(const ScratchArray&) = delete;
  ScratchArray& operator=(const ScratchArray&) = delete;

  // False if the array is full or could not be mapped.
  [[nodiscard]] bool push(const T& value) {
    if (size_ == capacity_) return false;
    data_[size_++] = value;
    return true;
  }

  // Gives the pages to the caller, who may keep them for good.
  [[nodiscard]] T* release() {
    capacity_ = 0;
    return std::exchange(data_, nullptr);
  }

  void resize(std::size_t size) { size_ = size; }
  void clear() { size_ = 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] std::size_t capacity() const { return capacity_; }
  [[nodiscard]] T& operator[](std::size_t index) { return data_[index]; }
  [[nodiscard]] const T& operator[](std::size_t index) const { return data_[index]; }
  [[nodiscard]] T* begin() { return data_; }
  [[nodiscard]] T* end() { return data_ + size_; }
  [[nodiscard]] const T* begin() const { return data_; }
  [[nodiscard]] const T* end() const { return data_ + size_; }

 private:
  T* data_ = nullptr;
  std::size_t size_ = 0;
  std::size_t capacity_ = 0;
};

}  // namespace ramie::patch

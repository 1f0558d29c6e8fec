// An atomic word in a control block that is used for one fiber after another.  Stale tickets look
// at it at any time, also while the block is set up for the next fiber: so that must leave the word
// alone, but for one atomic store.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/one_thread.h"

namespace ramie::core {

// Constructs an object where another one of its type has been: what outlives that one stays.
struct Recycled {};

// As std::atomic<uint64_t>, but for the constructor that touches nothing.
class StateWord {
 public:
  constexpr explicit StateWord(uint64_t value) : word(value) {}
  explicit StateWord(Recycled) {}

  [[nodiscard]] uint64_t load(std::memory_order order) const { return word.load(order); }
  void store(uint64_t value, std::memory_order order) { word.store(value, order); }
  uint64_t exchange(uint64_t value, std::memory_order order) { return word.exchange(value, order); }
  bool compare_exchange_strong(uint64_t& expected, uint64_t value, std::memory_order success,
                               std::memory_order failure) {
    return base::compare_exchange(word, expected, value, success, failure);
  }
  bool compare_exchange_weak(uint64_t& expected, uint64_t value, std::memory_order success,
                             std::memory_order failure) {
    return base::compare_exchange(word, expected, value, success, failure);
  }

 private:
  union {
    std::atomic<uint64_t> word;
  };
};

}  // namespace ramie::core

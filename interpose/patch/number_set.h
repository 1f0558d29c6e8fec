// A set of system call numbers.  Numbers outside of 0 .. 511 are in no set.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ramie::patch {

class NumberSet {
 public:
  static constexpr long kLimit = 512;

  constexpr NumberSet() = default;

  template <class... Numbers>
  [[nodiscard]] static constexpr NumberSet of(Numbers... numbers) {
    NumberSet set;
    (set.add(numbers), ...);
    return set;
  }

  [[nodiscard]] static constexpr NumberSet all() {
    NumberSet set;
    for (std::uint64_t& word : set.words_) word = ~std::uint64_t{0};
    return set;
  }

  constexpr void add(long number) {
    if (number >= 0 && number < kLimit) words_[number / 64] |= std::uint64_t{1} << (number % 64);
  }

  [[nodiscard]] constexpr bool contains(long number) const {
    return number >= 0 && number < kLimit && (words_[number / 64] >> (number % 64) & 1) != 0;
  }

 private:
  std::uint64_t words_[kLimit / 64] = {};
};

}  // namespace ramie::patch

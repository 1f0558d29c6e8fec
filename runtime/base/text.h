// Beginnings of texts. std::string_view's substr() and starts_with() refer to a function that
// throws, which only an optimizing compiler leaves out, and the preload has no C++ library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <string_view>

namespace ramie::base {

// The first `count` bytes, or all of them.
inline std::string_view first(std::string_view text, std::size_t count) {
  return {text.data(), std::min(count, text.size())};
}

inline bool begins_with(std::string_view text, std::string_view start) {
  return first(text, start.size()) == start;
}

}  // namespace ramie::base

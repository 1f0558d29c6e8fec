// Beginnings of texts, numbers among them. std::string_view's substr() and starts_with() refer to a
// function that throws, which only an optimizing compiler leaves out, and the preload has no C++
// library.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ramie::base {

// The first `count` bytes, or all of them.
inline std::string_view first(std::string_view text, std::size_t count) {
  return {text.data(), std::min(count, text.size())};
}

inline bool begins_with(std::string_view text, std::string_view start) {
  return first(text, start.size()) == start;
}

// Takes `start` off the front of `text`; false if it isn't there.
inline bool skip(std::string_view& text, std::string_view start) {
  bool is_there = begins_with(text, start);
  if (is_there) {
    text.remove_prefix(start.size());
  }
  return is_there;
}

// Takes the digits off the front of `text`, in a base of 10 or 16 with small letters; 0 without
// any. More of them than fit wrap around.
inline std::uint64_t take_number(std::string_view& text, unsigned base = 10) {
  std::uint64_t value = 0;
  std::size_t at = 0;
  for (; at < text.size(); ++at) {
    char c = text[at];
    unsigned digit = c >= '0' && c <= '9'   ? static_cast<unsigned>(c - '0')
                     : c >= 'a' && c <= 'f' ? static_cast<unsigned>(c - 'a') + 10
                                            : 99;
    if (digit >= base) {
      break;
    }
    value = value * base + digit;
  }
  text.remove_prefix(at);
  return value;
}

}  // namespace ramie::base

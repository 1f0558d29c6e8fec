// One line of text, built without stdio, malloc or locale, for messages from places where nothing
// of libc may be used.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <string_view>
#include <type_traits>

#include "base/sys.h"

namespace ramie::base {

struct Hex {
  uint64_t value;
};

// Text beyond the capacity is cut; the last byte is kept for the newline.
template <size_t kCapacity>
class Line {
 public:
  Line& operator<<(std::string_view text) {
    size_t n = text.size() < kCapacity - 1 - size_ ? text.size() : kCapacity - 1 - size_;
    std::copy_n(text.data(), n, text_ + size_);  // an empty view may have no address
    size_ += n;
    return *this;
  }
  Line& operator<<(const char* text) { return *this << std::string_view(text ? text : "(null)"); }
  Line& operator<<(char c) { return *this << std::string_view(&c, 1); }

  template <class T>
  requires std::is_integral_v<T> Line& operator<<(T value) {
    bool negative = value < 0;
    return number(negative ? 0 - static_cast<uint64_t>(value) : static_cast<uint64_t>(value), 10,
                  negative ? "-" : "");
  }
  Line& operator<<(Hex hex) { return number(hex.value, 16, "0x"); }

  [[nodiscard]] std::string_view view() const { return {text_, size_}; }

  // The line with its end.
  [[nodiscard]] std::string_view ended() {
    text_[size_] = '\n';
    return {text_, size_ + 1};
  }

  // Ends the line and writes it with one call, so that lines of several threads don't mix.
  void write_to(int fd) {
    (void)sys::call(SYS_write, fd, sys::arg(ended().data()), static_cast<long>(ended().size()));
  }

 private:
  Line& number(uint64_t value, unsigned base, std::string_view prefix) {
    char digits[24];
    size_t at = sizeof digits;
    do {
      digits[--at] = "0123456789abcdef"[value % base];
      value /= base;
    } while (value != 0);
    return *this << prefix << std::string_view(digits + at, sizeof digits - at);
  }

  char text_[kCapacity];
  size_t size_ = 0;
};

}  // namespace ramie::base

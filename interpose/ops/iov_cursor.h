// The rest of a scatter-gather list of which a part has been transferred.
//
// The program's list is neither changed nor copied as a whole: a window of it is, with its first
// entry cut.  For streams only, where a transfer may be continued in pieces.  The kernel must have
// accepted the list before (by a partial transfer), so that reading it can't fault.
#pragma once

#include <sys/uio.h>

#include <cstddef>

namespace ramie::ops {

class IovCursor {
 public:
  static constexpr size_t kWindow = 16;

  IovCursor(const iovec* list, size_t count) : list_(list), count_(count) { skip_empty(); }

  // Leaves out the next `bytes`.
  void advance(size_t bytes) {
    while (at_ < count_ && bytes >= list_[at_].iov_len - offset_) {
      bytes -= list_[at_].iov_len - offset_;
      ++at_;
      offset_ = 0;
    }
    offset_ += bytes;
    skip_empty();
  }

  [[nodiscard]] bool done() const { return at_ >= count_; }

  // The next part; valid until the next call.  Its bytes are not counted as transferred.
  iovec* window() {
    window_size_ = count_ - at_ < kWindow ? count_ - at_ : kWindow;
    for (size_t i = 0; i < window_size_; ++i) {
      window_[i] = list_[at_ + i];
    }
    if (window_size_ > 0) {
      window_[0].iov_base = static_cast<char*>(window_[0].iov_base) + offset_;
      window_[0].iov_len -= offset_;
    }
    return window_;
  }
  [[nodiscard]] size_t window_size() const { return window_size_; }

 private:
  void skip_empty() {
    while (at_ < count_ && list_[at_].iov_len == offset_) {
      ++at_;
      offset_ = 0;
    }
  }

  const iovec* list_;
  size_t count_;
  size_t at_ = 0;
  size_t offset_ = 0;
  iovec window_[kWindow];
  size_t window_size_ = 0;
};

}  // namespace ramie::ops

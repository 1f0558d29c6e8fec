// How a descriptor was read and written last without blocking: one byte for each descriptor.
//
// Only a hint.  A descriptor can be closed and reused by code that doesn't pass through the shim,
// so an operation must give the right answer with a wrong hint too, and correct it.
#pragma once

#include <cstdint>

namespace ramie::ops {

enum class Way : uint8_t {
  unknown,      // fstat will tell
  socket,       // recv and send with MSG_DONTWAIT
  nowait,       // preadv2 and pwritev2 with RWF_NOWAIT: pipes, eventfds, timerfds
  polled,       // poll, then the plain call: inotify, many devices, the write side of eventfds
  fifo,         // as polled; poll promises room for PIPE_BUF bytes and no more
  terminal,     // as polled; poll promises hardly any room, so a write is offloaded
  plain,        // nothing to wait for: directories, files of which no disk is known
  file,         // plainly: its data is believed to be in memory (file_read.h)
  cold_file,    // its data may have to come from a disk
  thread_name,  // stands for the name of a hosted thread (host/names.h)
};

enum class Direction : uint8_t { read, write };

class DescriptorHints {
 public:
  [[nodiscard]] Way get(int fd, Direction direction) const {
    return known(fd) ? static_cast<Way>(load(fd) >> shift(direction) & kMask) : Way::unknown;
  }

  // Two fibers may set both directions of one descriptor at once and lose one: it is only a hint.
  void set(int fd, Direction direction, Way way) {
    if (known(fd)) {
      unsigned other = load(fd) & ~(kMask << shift(direction));
      store(fd, other | static_cast<unsigned>(way) << shift(direction));
    }
  }

  void clear(int fd) {
    if (known(fd)) {
      store(fd, 0);
    }
  }

  // Both ends included.
  void clear_range(unsigned first, unsigned last) {
    for (unsigned fd = first; fd <= last && fd < kDescriptors; ++fd) {
      // A look first, so that pages which were never used stay untouched.
      if (load(fd) != 0) {
        store(fd, 0);
      }
    }
  }

 private:
  // The kernel's default for fs.nr_open; a higher descriptor is looked at each time.
  static constexpr unsigned kDescriptors = 1U << 20;
  static constexpr unsigned kMask = 0xf;

  static constexpr bool known(int fd) { return static_cast<unsigned>(fd) < kDescriptors; }
  static constexpr unsigned shift(Direction direction) {
    return direction == Direction::read ? 0 : 4;
  }

  // Not std::atomic: a million constructors are more than a compiler evaluates at compile time.
  template <class Index>
  [[nodiscard]] unsigned load(Index fd) const {
    return __atomic_load_n(&bytes_[fd], __ATOMIC_RELAXED);
  }
  template <class Index>
  void store(Index fd, unsigned byte) {
    __atomic_store_n(&bytes_[fd], static_cast<uint8_t>(byte), __ATOMIC_RELAXED);
  }

  uint8_t bytes_[kDescriptors] = {};
};

extern DescriptorHints descriptor_hints;

}  // namespace ramie::ops

// Operations of io_uring that are newer than some headers (Linux 6.7), and whether a ring has them.
#pragma once

#include <liburing.h>

#include <cstdint>

#include "base/sys.h"

namespace ramie::event {

inline constexpr uint8_t kWaitId = 50;     // IORING_OP_WAITID
inline constexpr uint8_t kFutexWait = 51;  // IORING_OP_FUTEX_WAIT

// They are numbered as they came: a kernel that has one has those before it.
inline bool knows_operation(int ring_fd, uint8_t operation) {
  constexpr unsigned kCount = kFutexWait + 1;
  // An io_uring_probe with the operations behind it; the kernel wants zeros.
  alignas(
      io_uring_probe) char memory[sizeof(io_uring_probe) + kCount * sizeof(io_uring_probe_op)] = {};
  auto* probe = reinterpret_cast<io_uring_probe*>(memory);
  return sys::call(SYS_io_uring_register, ring_fd, IORING_REGISTER_PROBE, sys::arg(probe),
                   kCount) == 0 &&
         probe->last_op >= operation;
}

}  // namespace ramie::event

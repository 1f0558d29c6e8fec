// One attempt to read or write without blocking, on whatever a descriptor may be.
//
// How that is done depends on what the descriptor is (descriptor_hints.h), which fstat tells once
// and the first refusal corrects.  Regular files are another matter: file_read.h.
#pragma once

#include <poll.h>
#include <sys/uio.h>

#include "interpose/ops/descriptor_hints.h"

namespace ramie::ops {

// A read or write in any of its forms.
struct Transfer {
  Direction direction;
  int fd;
  const iovec* iov;  // the program's list, or our own of one entry
  long count;
  bool is_vector;  // whether the program gave a list
  long flags;      // RWF_*, of preadv2 and pwritev2

  [[nodiscard]] bool reads() const { return direction == Direction::read; }
  [[nodiscard]] short events() const { return reads() ? POLLIN : POLLOUT; }
};

// How the descriptor is to be tried, which is remembered; unknown if it isn't open.
Way learn_way(int fd, Direction direction);

// Makes the call as the program did; may block the kernel thread.
long call_plainly(const Transfer& t);

// The same, by a helper, while the fiber is parked.
long call_offloaded(const Transfer& t);

// Tries once, and learns `way` where it wasn't known or was wrong.  -EAGAIN: it would block.  Parks
// only where it has to offload a write that may take less than poll promises.
long try_once(const Transfer& t, Way& way);

}  // namespace ramie::ops

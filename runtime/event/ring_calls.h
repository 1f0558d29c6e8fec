// recv and send by the ring of the carrier, for fibers that never leave it.
#pragma once

#include <cstddef>

namespace ramie::event {

// Whether the running fiber's calls can be made by a ring: see open_ring().  Any thread.
[[nodiscard]] bool is_ring_there();

// recv(2) and send(2) without SIGPIPE, whether the descriptor is non-blocking or not.  They park
// until the call is over and return its result, which may be short, or -errno.  Otherwise
//
//   -EINTR      a signal is to be handled, or forget() wants it: to be made again
//   -ECANCELED  by an interruption (core/interruptible.h)
//   -EBADF      not open, or closed meanwhile
//   -EAGAIN     the ring does not take this descriptor, such as a file
//
// and nothing has been received or sent.  In all cases the kernel is done with the buffer.  Only
// where is_ring_there().
[[nodiscard]] long ring_receive(int fd, void* into, size_t size);
[[nodiscard]] long ring_send(int fd, const void* from, size_t size);

}  // namespace ramie::event

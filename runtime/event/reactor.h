// The reactor: which fibers wait for which descriptor.
//
// A descriptor is registered with the poller once, at the first wait for it, edge-triggered and for
// everything.  An event wakes all fibers that wait for its direction; where nobody does, the
// descriptor remembers it, and the next wait for that direction returns at once.  So the order
//
//     try without blocking; -EAGAIN; wait_fd(); try again
//
// loses nothing, and the truth stays with the caller: a return of 0 means "try again", no more.
//
// Whoever closes or replaces a descriptor calls forget() before, and forget_again() afterwards: in
// between another fiber may have tried, found the old file, and begun to wait for it.  A close that
// we can't see (code that enters the kernel by itself) leaves a stale registration behind: a later
// wait for a new descriptor of the same number may then miss its events.
//
// Several fibers may wait for the same direction of one descriptor.  An event wakes them all, but
// one that has tried and is yet to wait misses it, and the first taker may leave something behind.
// So for such a descriptor the kernel is asked once more (poll(2)) when the waiter is on the list.
#pragma once

#include <poll.h>

#include "base/deadline.h"
#include "event/kept_files.h"
#include "event/own_descriptors.h"

namespace ramie::event {

// Parks until the descriptor may be ready for one of `events` (poll(2)'s: POLLIN, POLLOUT, POLLPRI,
// POLLRDHUP), or has an error or a hang-up.  Only on a fiber.
//
//   0           try again
//   -ETIMEDOUT  the deadline passed
//   -EINTR      a signal is to be handled
//   -ECANCELED  core::cancel()
//   -EBADF      not open, or closed meanwhile
//   -EPERM      can't be waited for (a regular file, a directory), like any other -errno
//
// With a `use`, for the calling one of several waits of one call, see kept_files.h: if the
// descriptor was closed since the first one, -EBADF where it keeps the file; and an error that
// stays in spite of the tries (a message in a socket's error queue) ends no wait any more.
[[nodiscard]] long wait_fd(int fd, short events, base::Deadline deadline, FileUse* use = nullptr);

// The same for any of `n` descriptors, as poll(2) takes them: negative ones are skipped, revents is
// not touched.  One that is not open or can't be waited for counts as ready.  -ENOMEM or -EMFILE
// when the runtime lacks resources.
[[nodiscard]] long wait_fds(const pollfd* fds, unsigned long n, base::Deadline deadline);

// Before a descriptor is closed or replaced (close, dup2, dup3): its waiters return -EBADF.  Any
// thread; doesn't park; cheap for a descriptor that was never waited for.
void forget(int fd);

// After that: whoever waits for the number returns 0, and tries again.  The same rules.
void forget_again(int fd);

// As forget(), but calls that have begun to use the descriptor may go on with its file.
void forget_but_keep(int fd);

// The two for first..last, both included, the files being kept.
void forget_range(unsigned first, unsigned last);
void forget_range_again(unsigned first, unsigned last);

// After fork, in the child, on the calling fiber, after core::reset_after_fork(): everything of
// this layer starts anew, with no poller, no ring and no helper threads; inherited descriptors of
// ours are closed.
void reset_after_fork();

// The reactor's own share in that.
void reset_reactor();

}  // namespace ramie::event

// Waiting for children without reaping them: the caller reaps, by waitid or wait4 with WNOHANG, so
// that nobody's child is ever taken away.
#pragma once

#include <sys/types.h>

#include "base/deadline.h"

namespace ramie::event {

// Parks until it may be worth trying waitid(idtype, id, ..., options | WNOHANG) again, after a try
// that found nothing.  `options` are waitid's or wait4's, with any of the __W flags; for wait4(0,
// ...) the caller passes P_PGID and its own group.  Only on a fiber.
//
//   0           try again (also when there are no such children: the try says so)
//   -EINTR      a signal is to be handled
//   -ETIMEDOUT  the deadline passed
//
// The exit of one known child is awaited by a pidfd.  Everything else is a call with WNOWAIT, which
// a ring makes (event/io_uring_ops.h) or, without one, a helper thread: then fibers that wait for
// the same share one.  A pidfd knows nothing of the stops
// that a tracer waits for: a program with ptrace and threads passes __WALL.
[[nodiscard]] long wait_child(int idtype, id_t id, int options, base::Deadline deadline);

// After fork, in the child.
void reset_child_waits();

}  // namespace ramie::event

// The rest of a transfer on a stream socket which the kernel has begun: a blocking send ends when
// all is sent, a receive with MSG_WAITALL when all is there.
#pragma once

#include "interpose/ops/file_in_use.h"
#include "interpose/ops/iov_cursor.h"

namespace ramie::ops {

// Sends the rest of `list`, of which `sent` bytes are sent, with `flags` (MSG_*).  Returns the
// number of bytes sent in all, which is less than the list holds where the program made the socket
// non-blocking, a time-out or a signal came, or the connection broke.  No SIGPIPE then: the kernel
// raises none for a send that got somewhere.
long finish_send(FileInUse& file, IovCursor& list, long sent, int flags);

// Whether a receive with MSG_WAITALL that got less than it asked for goes on: on streams only, and
// not if the program made the socket non-blocking.
bool can_wait_for_all(int fd);

// Receives the rest of `list`, of which `received` bytes are there, as finish_send().
long finish_receive(FileInUse& file, IovCursor& list, long received, int flags);

}  // namespace ramie::ops

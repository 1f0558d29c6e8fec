// Reads of regular files and block devices.
//
// The kernel lets no fiber wait for a disk but by a ring (event/io_uring_ops.h), and to find out
// whether there is something to wait for costs as much as to read it from memory.  So a read is
// made plainly, until one has taken long: then the file is a cold one.
//
// Of a cold file, what is in memory is read by RWF_NOWAIT, and the rest by the ring.  That goes for
// reads at a given offset.  At the current one, which other threads and processes may share, what
// is cut short could not be continued in one piece: there the data is looked for, and where it is
// not in memory, the ring fetches it before the plain read.
#pragma once

#include "interpose/ops/transfer.h"

namespace ramie::ops {

// How a file is read that has not been: as a cold one if others were just now, else plainly.
Way way_of_file(int fd);

// read, readv, preadv2 at the current offset.  `way` is file or cold_file.
long read_file(const Transfer& t, Way& way);

// The same for pread64 and preadv.
long read_file_at(const Transfer& t, long offset, Way way);

}  // namespace ramie::ops

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
//
// The clock is part of what a read costs.  So a thread that has read quickly for a while takes the
// time of one read in eight or so, now sooner and now later, until one is slow.
#pragma once

#include <x86intrin.h>

#include <cstdint>

#include "interpose/host/thread.h"
#include "interpose/ops/transfer.h"

namespace ramie::ops {

namespace detail {

// In ticks of the processor's clock, some 20 us: memory is faster, and what is lost by a disk that
// is so, too, is little.
inline constexpr uint64_t kLong = 1 << 16;

// After a read that took long.
[[gnu::cold]] void note_slow_read(int fd);

inline constexpr uint8_t kLearning = 64;
inline constexpr uint8_t kMostBetween = 16;

// Whether a read of a thread is to be timed, which has had so many quick ones; counts it.
constexpr bool is_time_taken(uint8_t& quick_reads) {
  uint8_t before = quick_reads;
  quick_reads = before < kLearning + kMostBetween - 1 ? before + 1 : kLearning;
  return before <= kLearning;
}

// One was timed and quick.  A thread may read its files in turns, and the cold one must not fall
// between the times that are taken for ever: so the next is taken after 1 to kMostBetween reads.
constexpr void spread(uint8_t& quick_reads, uint64_t clock) {
  constexpr uint64_t kMix = 0x9e3779b97f4a7c15;  // of the golden ratio (Knuth 6.4)
  if (quick_reads > kLearning) {
    quick_reads += (clock * kMix >> 32) % (kMostBetween - 1);
  }
}

}  // namespace detail

// For a file whose way is Way::file: makes the call, and notes it if that took long.
template <class Call>
long read_warm_file(int fd, Call call) {
  host::Thread* thread = host::current_thread();
  if (thread != nullptr && !detail::is_time_taken(thread->quick_reads)) {
    return call();
  }
  uint64_t begin = __rdtsc();
  long result = call();
  if (__rdtsc() - begin > detail::kLong) [[unlikely]] {
    detail::note_slow_read(fd);
  } else if (thread != nullptr) {
    detail::spread(thread->quick_reads, begin);
  }
  return result;
}

// How a file is read that has not been: as a cold one if others were just now, else plainly.
Way way_of_file(int fd);

// read, readv, preadv2 at the current offset.  `way` is file or cold_file.
long read_file(const Transfer& t, Way& way);

// The same for pread64 and preadv.
long read_file_at(const Transfer& t, long offset, Way way);

}  // namespace ramie::ops

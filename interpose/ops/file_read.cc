#include "interpose/ops/file_read.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>

#include <atomic>

#include "base/sys.h"
#include "event/io_uring_ops.h"
#include "interpose/ops/iov_cursor.h"

namespace ramie::ops {
namespace {

// How many of the files that are read next for the first time are taken for cold ones: a program
// that reads many has just read one that was.
constexpr uint32_t kLikely = 16;
constinit std::atomic<uint32_t> suspicion = 0;

long read_now(int fd, const iovec* list, long count, long offset) {
  return sys::call(SYS_preadv2, fd, sys::arg(list), count, offset, 0, RWF_NOWAIT);
}

enum class Presence : uint8_t { here, nowhere, away, untold };

// Of one byte; `nowhere` is beyond the end.  What is away is on its way from here on.
Presence look_for(int fd, long offset) {
  char byte;
  iovec one = {&byte, 1};
  long result = read_now(fd, &one, 1, offset);
  switch (result) {
    case 1:
      return Presence::here;
    case 0:
      return Presence::nowhere;
    case -EAGAIN:
      return Presence::away;
    default:
      return Presence::untold;
  }
}

// Whether the data goes past what is kept in memory: then RWF_NOWAIT does wait, and what is fetched
// would come twice.
bool is_direct(int fd) {
  long flags = sys::call(SYS_fcntl, fd, F_GETFL);
  return !sys::failed(flags) && (flags & O_DIRECT) != 0;
}

// preadv by the ring.  -EFAULT may stand for a kernel thread that has ended, and with it what it
// had submitted: the kernel is asked once more.
long read_by_ring(int fd, const iovec* list, long count, long offset) {
  long result = event::uring_read(fd, list, count, offset);
  return result == -ENOSYS || result == -EFAULT
             ? sys::call(SYS_preadv, fd, sys::arg(list), count, offset)
             : result;
}

// If another thread has said something else meanwhile, the number may stand for another file.
void set_way(const Transfer& t, Way& way, Way now) {
  if (descriptor_hints.get(t.fd, t.direction) == way) {
    descriptor_hints.set(t.fd, t.direction, now);
  }
  way = now;
}

// What knows no RWF_NOWAIT reports itself, has to ask a server, or may not be read twice.
bool can_be_cold(int fd) {
  return (is_direct(fd) || look_for(fd, 0) != Presence::untold) && event::uring_available();
}

void note_absence() { suspicion.store(kLikely, std::memory_order_relaxed); }

// It did not have to come from a disk.  Some files are there in part, so not every time.
void note_presence(const Transfer& t, Way& way) {
  // Another thread's count may be lost.
  uint32_t before = suspicion.load(std::memory_order_relaxed);
  if (before != 0) {
    suspicion.store(before - 1, std::memory_order_relaxed);
  }
  if ((__rdtsc() >> 8 & 3) == 0) {
    set_way(t, way, Way::file);
  }
}

// The buffer is about to be filled with the same, unless another thread reads before.
void fetch(const Transfer& t, Way& way) {
  constexpr long kPage = 4096;
  long first = sys::call(SYS_lseek, t.fd, 0, SEEK_CUR);
  if (sys::failed(first) || is_direct(t.fd)) {
    return;
  }
  long last = t.is_vector ? first : first + static_cast<long>(t.iov->iov_len) - 1;
  Presence presence = look_for(t.fd, first);
  if (presence == Presence::here && last / kPage != first / kPage) {
    presence = look_for(t.fd, last);
  }
  if (presence != Presence::away) {
    note_presence(t, way);
  } else {
    note_absence();
    (void)event::uring_read(t.fd, t.iov, t.count, first);
  }
}

// Reads what is behind `done` bytes.
long finish_read(const Transfer& t, long offset, long done) {
  IovCursor rest(t.iov, static_cast<size_t>(t.count));
  rest.advance(static_cast<size_t>(done));
  while (!rest.done()) {
    const iovec* window = rest.window();
    auto count = static_cast<long>(rest.window_size());
    long result = read_now(t.fd, window, count, offset + done);
    if (result == -EAGAIN) {
      result = read_by_ring(t.fd, window, count, offset + done);
    }
    if (result <= 0) {
      return done > 0 ? done : result;
    }
    done += result;
    rest.advance(static_cast<size_t>(result));
  }
  return done;
}

}  // namespace

void detail::note_slow_read(int fd) {
  if (host::Thread* thread = host::current_thread()) {
    thread->quick_reads = 0;
  }
  Way now = can_be_cold(fd) ? Way::cold_file : Way::plain;
  if (now == Way::cold_file) {
    note_absence();
  }
  if (descriptor_hints.get(fd, Direction::read) == Way::file) {
    descriptor_hints.set(fd, Direction::read, now);
  }
}

Way way_of_file(int fd) {
  bool is_suspect = suspicion.load(std::memory_order_relaxed) != 0;
  return is_suspect && can_be_cold(fd) ? Way::cold_file : Way::file;
}

long read_file(const Transfer& t, Way& way) {
  if (way == Way::cold_file) {
    fetch(t, way);
    return call_plainly(t);
  }
  return read_warm_file(t.fd, [&] { return call_plainly(t); });
}

long read_file_at(const Transfer& t, long offset, Way way) {
  auto plainly = [&] {
    return t.is_vector ? sys::call(SYS_preadv, t.fd, sys::arg(t.iov), t.count, offset)
                       : sys::call(SYS_pread64, t.fd, sys::arg(t.iov->iov_base),
                                   static_cast<long>(t.iov->iov_len), offset);
  };
  if (way == Way::file) {
    return read_warm_file(t.fd, plainly);
  }
  if (is_direct(t.fd)) {
    return read_by_ring(t.fd, t.iov, t.count, offset);
  }
  long result = read_now(t.fd, t.iov, t.count, offset);
  if (result == -EOPNOTSUPP) {  // it is another file by now
    set_way(t, way, Way::unknown);
    return plainly();
  }
  if (result == -EAGAIN) {
    note_absence();
    return finish_read(t, offset, 0);
  }
  if (result > 0) {
    note_presence(t, way);
    return finish_read(t, offset, result);
  }
  return result;
}

}  // namespace ramie::ops

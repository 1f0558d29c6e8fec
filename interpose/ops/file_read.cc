#include "interpose/ops/file_read.h"

#include <fcntl.h>
#include <limits.h>
#include <linux/fs.h>
#include <x86intrin.h>

#include "base/sys.h"
#include "event/io_uring_ops.h"
#include "interpose/ops/iov_cursor.h"

namespace ramie::ops {
namespace {

// In ticks of the processor's clock, some 20 us: memory is faster, and what is lost by a disk that
// is so, too, is little.
constexpr uint64_t kLong = 1 << 16;

long read_now(int fd, const iovec* list, long count, long offset) {
  return sys::call(SYS_preadv2, fd, sys::arg(list), count, offset, 0, RWF_NOWAIT);
}

enum class Presence : uint8_t { here, away, untold };

// Of one byte; beyond the end there is nothing to be fetched.
Presence look_for(int fd, long offset) {
  char byte;
  iovec one = {&byte, 1};
  long result = read_now(fd, &one, 1, offset);
  return result >= 0 ? Presence::here : result == -EAGAIN ? Presence::away : Presence::untold;
}

// Whether the data goes past what is kept in memory: then it would come twice.
bool is_direct(int fd) {
  long flags = sys::call(SYS_fcntl, fd, F_GETFL);
  return sys::failed(flags) || (flags & O_DIRECT) != 0;
}

void set_way(const Transfer& t, Way& way, Way now) {
  way = now;
  descriptor_hints.set(t.fd, t.direction, now);
}

// It did not have to come from a disk.  Some files are there in part, so not every time.
void note_presence(const Transfer& t, Way& way) {
  if ((__rdtsc() >> 8 & 3) == 0) {
    set_way(t, way, Way::file);
  }
}

// The buffer is about to be filled with the same, unless another thread reads before.
void fetch(const Transfer& t, Way& way) {
  constexpr long kPage = 4096;
  long first = sys::call(SYS_lseek, t.fd, 0, SEEK_CUR);
  if (sys::failed(first)) {
    return;
  }
  long last = t.is_vector ? first : first + static_cast<long>(t.iov->iov_len) - 1;
  if (look_for(t.fd, first) != Presence::away &&
      (last / kPage == first / kPage || look_for(t.fd, last) != Presence::away)) {
    note_presence(t, way);
  } else if (!is_direct(t.fd)) {
    (void)event::uring_read(t.fd, t.iov, t.count, first);
  }
}

// What knows no RWF_NOWAIT reports itself, has to ask a server, or may not be read twice.
Way way_of_slow(int fd) {
  return look_for(fd, 0) != Presence::untold && event::uring_available() ? Way::cold_file
                                                                         : Way::plain;
}

// Notes that the file is a cold one where the call took long.
template <class Call>
long make_timed(const Transfer& t, Way& way, Call call) {
  uint64_t begin = __rdtsc();
  long result = call();
  if (__rdtsc() - begin > kLong) [[unlikely]] {
    set_way(t, way, way_of_slow(t.fd));
  }
  return result;
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
      result = event::uring_read(t.fd, window, count, offset + done);
    }
    if (result == -ENOSYS) {
      result = sys::call(SYS_preadv, t.fd, sys::arg(window), count, offset + done);
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

long read_file(const Transfer& t, Way& way) {
  if (way == Way::cold_file) {
    fetch(t, way);
    return call_plainly(t);
  }
  return make_timed(t, way, [&] { return call_plainly(t); });
}

long read_file_at(const Transfer& t, long offset, Way way) {
  auto plainly = [&] {
    return t.is_vector ? sys::call(SYS_preadv, t.fd, sys::arg(t.iov), t.count, offset)
                       : sys::call(SYS_pread64, t.fd, sys::arg(t.iov->iov_base),
                                   static_cast<long>(t.iov->iov_len), offset);
  };
  if (way == Way::file) {
    return make_timed(t, way, plainly);
  }
  long result = read_now(t.fd, t.iov, t.count, offset);
  if (result == -EOPNOTSUPP) {  // it is another file by now
    set_way(t, way, Way::unknown);
    return plainly();
  }
  if (result == -EAGAIN) {
    return finish_read(t, offset, 0);
  }
  if (result > 0) {
    note_presence(t, way);
    return finish_read(t, offset, result);
  }
  return result;
}

}  // namespace ramie::ops

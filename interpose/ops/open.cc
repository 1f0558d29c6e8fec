// open and its relatives: opening a FIFO waits for the other end (man 7 fifo), so a helper does it;
// other files are opened in place.
#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "interpose/host/thread_files.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {
namespace {

// O_NONBLOCK and O_PATH never wait, and a FIFO opened for both ends has its other end.
bool may_wait(long flags) {
  return (flags & (O_NONBLOCK | O_PATH | O_DIRECTORY)) == 0 && (flags & O_ACCMODE) != O_RDWR;
}

bool is_fifo(long directory, long path, long flags) {
  struct stat status;
  long at = (flags & O_NOFOLLOW) != 0 ? AT_SYMLINK_NOFOLLOW : 0;
  return sys::call(SYS_newfstatat, directory, path, sys::arg(&status), at) == 0 &&
         S_ISFIFO(status.st_mode);
}

// Without opening it: a handle has no path to look at.
bool is_fifo_by_handle(long mount, long handle) {
  long fd = sys::call(SYS_open_by_handle_at, mount, handle, O_PATH | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  struct stat status;
  bool is = sys::call(SYS_fstat, fd, sys::arg(&status)) == 0 && S_ISFIFO(status.st_mode);
  (void)sys::call(SYS_close, fd);
  return is;
}

bool opens_fifo(const long* a) { return may_wait(a[2]) && is_fifo(a[0], a[1], a[2]); }

// openat2(2).
bool opens_fifo_as_told(const long* a) {
  open_how how{};
  return a[3] >= static_cast<long>(sizeof how) && copy_in(how, a[2]) &&
         may_wait(static_cast<long>(how.flags)) &&
         is_fifo(a[0], a[1], static_cast<long>(how.flags));
}

// open_by_handle_at(2).
bool opens_fifo_by_handle(const long* a) { return may_wait(a[2]) && is_fifo_by_handle(a[0], a[1]); }

// As arguments of openat(2).
struct At {
  long arguments[6];
};
At open_at(const long* a) { return {{AT_FDCWD, a[0], a[1], a[2], 0, 0}}; }
At creat_at(const long* a) { return {{AT_FDCWD, a[0], O_CREAT | O_WRONLY | O_TRUNC, a[1], 0, 0}}; }

}  // namespace

bool waits_to_open(long number, const long* a) {
  switch (number) {
    case SYS_open:
      return opens_fifo(open_at(a).arguments);
    case SYS_creat:
      return opens_fifo(creat_at(a).arguments);
    case SYS_openat:
      return opens_fifo(a);
    case SYS_openat2:
      return opens_fifo_as_told(a);
    case SYS_open_by_handle_at:
      return opens_fifo_by_handle(a);
    default:
      return false;
  }
}

long openat(const long* a) {
  if (opens_fifo(a)) {
    return offload_and_restart(SYS_openat, a);
  }
  long result = sys::call(SYS_openat, a[0], a[1], a[2], a[3]);
  return host::open_thread_file(reinterpret_cast<const char*>(a[1]), a[2], result);
}

long open(const long* a) { return openat(open_at(a).arguments); }

long creat(const long* a) { return openat(creat_at(a).arguments); }

long openat2(const long* a) {
  return opens_fifo_as_told(a) ? offload_and_restart(SYS_openat2, a)
                               : sys::call(SYS_openat2, a[0], a[1], a[2], a[3]);
}

long open_by_handle_at(const long* a) {
  return opens_fifo_by_handle(a) ? offload_and_restart(SYS_open_by_handle_at, a)
                                 : sys::call(SYS_open_by_handle_at, a[0], a[1], a[2]);
}

}  // namespace ramie::ops

// open, openat: opening a FIFO waits for the other end (man 7 fifo), so a helper does it; other
// files are opened in place.
#include <fcntl.h>
#include <sys/stat.h>

#include "base/sys.h"
#include "interpose/ops/ops.h"

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

}  // namespace

long openat(const long* a) {
  return may_wait(a[2]) && is_fifo(a[0], a[1], a[2])
             ? offload_and_restart(SYS_openat, a)
             : sys::call(SYS_openat, a[0], a[1], a[2], a[3]);
}

long open(const long* a) {
  const long at_working_directory[6] = {AT_FDCWD, a[0], a[1], a[2], 0, 0};
  return openat(at_working_directory);
}

}  // namespace ramie::ops

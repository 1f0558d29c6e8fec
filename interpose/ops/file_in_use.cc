#include "interpose/ops/file_in_use.h"

#include <cerrno>

#include "event/own_descriptors.h"
#include "event/reactor.h"
#include "interpose/host/thread.h"
#include "interpose/ops/descriptor.h"

namespace ramie::ops {

long FileInUse::wait(short events, base::Deadline deadline) {
  use_.keeps = fd_ == opened_ && host::current_thread() != nullptr;
  long result = event::wait_fd(fd_, events, deadline, &use_);
  if (!use_.keeps) {
    return result;
  }
  if (result != 0 && use_.begun) {
    if (int kept = event::kept_number(fd_, use_); kept >= 0) {
      use_.has_seen_error = false;
      fd_ = kept;  // also for the last look of a call whose time is over
      return result == -EBADF ? 0 : result;
    }
  }
  return result;
}

void FileInUse::end() {
  if (fd_ == opened_ && event::end_use(opened_, use_)) {
    return;
  }
  int last = event::drop_kept(opened_, use_);
  if (last >= 0) {
    forget(last);
    event::discard(last);
  }
}

}  // namespace ramie::ops

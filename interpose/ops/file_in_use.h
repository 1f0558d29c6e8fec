// The file of one call that may wait for it: while a hosted thread is in the call, another one may
// close the descriptor, and the call goes on with the same file by another number, as it does in
// the kernel, which looks a descriptor up once.  On a light fiber it ends with EBADF.
#pragma once

#include "base/deadline.h"
#include "event/kept_files.h"

namespace ramie::ops {

class FileInUse {
 public:
  explicit FileInUse(int fd) : fd_(fd), opened_(fd) {}
  ~FileInUse() {
    if (use_.begun) {
      end();
    }
  }
  FileInUse(const FileInUse&) = delete;
  FileInUse& operator=(const FileInUse&) = delete;

  // Its number for now: to be asked for again after each wait.
  [[nodiscard]] int fd() const { return fd_; }

  // As event::wait_fd(); 0 also where the number is another one from here on.
  [[nodiscard]] long wait(short events, base::Deadline deadline);

 private:
  void end();

  int fd_;
  int opened_;  // the program's number
  event::FileUse use_;
};

}  // namespace ramie::ops

// What an operation does after it has tried without blocking and got EAGAIN: find out whether the
// program wants to wait at all, and for how long, and park until another try is worth while.
//
//     FileInUse file(fd);
//     Wait wait(file, POLLIN, Limit::receive);
//     for (;;) {
//       long result = <the call on file.fd(), not blocking>;
//       if (result != -EAGAIN) return result;
//       if (long end = wait.again()) return end;
//     }
#pragma once

#include "base/deadline.h"
#include "interpose/ops/file_in_use.h"

namespace ramie::ops {

// Which of a socket's time-outs (man 7 socket, SO_RCVTIMEO and SO_SNDTIMEO) limits the wait.
enum class Limit { none, receive, send };

// When a call that starts to wait on the socket now has to give up; never() without a time-out, and
// for a descriptor that isn't a socket.
[[nodiscard]] base::Deadline socket_deadline(int fd, Limit limit);

// Whether the program made the open file description non-blocking (man 2 fcntl, O_NONBLOCK).
[[nodiscard]] bool is_non_blocking(int fd);

// Whether a read of the socket is known to wait without end, so that neither need be asked.
[[nodiscard]] bool reads_without_end(int fd);

// Whether poll(2) reports one of the events, an error or a hang-up right now.  Never blocks.
[[nodiscard]] bool is_ready(int fd, short events);

// Of a stream socket: whether poll(2) reports one of the events or a hang-up right now, or an error
// that is the next call's to report.  What merely waits in the error queue (the completions of
// MSG_ZEROCOPY, time stamps) is POLLERR as well, and no such error.
[[nodiscard]] bool has_ended(int fd, short events);

// Whether it is over, and nothing is left to be read; its error is left to the next call.  Only
// TCP's would be lost otherwise: of a UNIX socket natively, too, a call that has got something
// takes it.
[[nodiscard]] bool has_ended_empty(int fd);

// Of the calling fiber, for the length of one call.
class Wait {
 public:
  // events: POLLIN or POLLOUT.
  Wait(FileInUse& file, short events, Limit limit) : file_(file), events_(events), limit_(limit) {}

  // Parks until the call should be tried again (0).  Anything else is the call's result, unless it
  // has made progress already:
  //   -EAGAIN          the program made the description non-blocking, or the time-out is over
  //   -EINTR, kRestart a signal is to be handled; -EINTR where a time-out was set (man 7 signal)
  //   -ECANCELED       a light fiber was cancelled, or its time-out scope is over
  //   -EBADF           closed meanwhile
  //   -EPERM           can't be waited for: never blocks (a regular file), so call it plainly
  [[nodiscard]] long again();

 private:
  [[nodiscard]] long begin();
  [[nodiscard]] long wait_to_send();

  FileInUse& file_;
  short events_;
  Limit limit_;
  bool begun_ = false;
  bool refused_while_ready_ = false;
  base::Deadline deadline_;
};

}  // namespace ramie::ops

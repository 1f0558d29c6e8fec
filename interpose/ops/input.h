// Reads of sockets: tries and waits in turn, but does not try what is known to be in vain.
#pragma once

#include <poll.h>

#include <cerrno>
#include <cstddef>

#include "event/input.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {

// Calls try_now(), which must not block, until it has something to return.  asked_for() is how much
// the program has room for, and is called after a success only; 0 where a read that gets less says
// nothing, as one that leaves what it has seen.
// `is_plain`: into one buffer that is not empty.  Of other arguments the kernel has to judge first.
template <class Try, class AskedFor>
long receive(FileInUse& file, bool is_plain, Try try_now, AskedFor asked_for) {
  Wait wait(file, POLLIN, Limit::receive);
  for (;;) {
    int fd = file.fd();
    event::InputGlance input(fd);
    // Not to try is only for who would wait without end: another call has to come to its EAGAIN.
    if (!is_plain || !input.is_empty() || !reads_without_end(fd)) {
      long result = try_now();
      if (result != -EAGAIN) {
        if (result > 0 && static_cast<size_t>(result) < asked_for()) {
          input.got_less();
        }
        return result;
      }
      input.got_nothing();
    }
    if (long end = wait.again(); end != 0) {
      return end;
    }
  }
}

}  // namespace ramie::ops

// socket, setsockopt: made by the kernel, and noted where they decide whether a read waits.
#include <sys/socket.h>

#include "base/sys.h"
#include "event/input.h"
#include "interpose/ops/blocking_sockets.h"
#include "interpose/ops/descriptor.h"
#include "interpose/ops/ops.h"

namespace ramie::ops {
namespace {

// Both layouts of the time-out (asm/socket.h); SO_RCVTIMEO is one of them.
constexpr int kReceiveTimeouts[] = {20, 66};

}  // namespace

long socket(const long* a) {
  blocking_sockets::Birth birth;
  long result = sys::call(SYS_socket, a[0], a[1], a[2]);
  if (!sys::failed(result)) {
    begin_socket(static_cast<int>(result), birth, (a[1] & SOCK_NONBLOCK) == 0);
  }
  return result;
}

long setsockopt(const long* a) {
  long result = sys::call(SYS_setsockopt, a[0], a[1], a[2], a[3], a[4]);
  auto option = static_cast<int>(a[2]);
  if (static_cast<int>(a[1]) == SOL_SOCKET &&
      (option == kReceiveTimeouts[0] || option == kReceiveTimeouts[1])) {
    blocking_sockets::note_setting();
  }
  if (static_cast<int>(a[1]) == SOL_SOCKET && option == SO_RCVLOWAT) {
    event::distrust_input(static_cast<int>(a[0]));  // no event tells of less, but a read gets it
  }
  return result;
}

}  // namespace ramie::ops

// wait4, waitid: asked with WNOHANG, so nobody but the caller ever reaps.
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>

#include "base/sys.h"
#include "event/child.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/wait.h"

namespace ramie::ops {
namespace {

struct Children {
  int idtype;
  id_t id;
};

// wait4's first argument (man 2 waitpid) in waitid's terms.
Children children_of(pid_t pid) {
  if (pid == -1) {
    return {P_ALL, 0};
  }
  if (pid > 0) {
    return {P_PID, static_cast<id_t>(pid)};
  }
  return {P_PGID, pid == 0 ? static_cast<id_t>(sys::call(SYS_getpgrp)) : static_cast<id_t>(-pid)};
}

// 0: try again.
long wait_for(Children children, int options) {
  long result = event::wait_child(children.idtype, children.id, options, base::Deadline::never());
  return result == -EINTR ? sys::kRestart : 0;
}

}  // namespace

long wait4(const long* a) {
  auto pid = static_cast<pid_t>(a[0]);
  auto options = static_cast<int>(a[2]);
  for (;;) {
    long result = sys::call(SYS_wait4, pid, a[1], options | WNOHANG, a[3]);
    if (result != 0 || (options & WNOHANG) != 0) {
      return result;
    }
    // An exited child is what wait4 always waits for.
    if (long end = wait_for(children_of(pid), options | WEXITED); end != 0) {
      return end;
    }
  }
}

long waitid(const long* a) {
  Children children = {static_cast<int>(a[0]), static_cast<id_t>(a[1])};
  auto options = static_cast<int>(a[3]);
  bool asked_only = (options & WNOHANG) != 0 ||
                    (children.idtype == P_PIDFD && is_non_blocking(static_cast<int>(a[1])));
  if (asked_only) {
    return sys::call(SYS_waitid, a[0], a[1], a[2], a[3], a[4]);
  }
  siginfo_t own = {};
  auto* info = a[2] != 0 ? reinterpret_cast<siginfo_t*>(a[2]) : &own;
  for (;;) {
    long result = sys::call(SYS_waitid, a[0], a[1], sys::arg(info), options | WNOHANG, a[4]);
    // The kernel has written si_pid: 0 stands for "none yet".
    if (result != 0 || info->si_pid != 0) {
      return result;
    }
    if (long end = wait_for(children, options); end != 0) {
      return end;
    }
  }
}

}  // namespace ramie::ops

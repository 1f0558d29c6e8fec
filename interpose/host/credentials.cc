// Credentials belong to kernel threads.  glibc has each of the program's threads make the call for
// itself (man 7 nptl), which reaches some carrier for each.  The other carriers and the helper
// threads, which make blocking calls for fibers, are ours to bring into line.
#include <sys/syscall.h>

#include "event/helper_pool.h"
#include "interpose/host/handlers.h"
#include "interpose/host/kick.h"

namespace ramie::host {
namespace {

long change(long number, const long* a) {
  long result = change_credentials(number, a);
  if (result == 0) {
    event::renew_helpers();
  }
  return result;
}

}  // namespace

long setuid(const long* a) { return change(SYS_setuid, a); }
long setgid(const long* a) { return change(SYS_setgid, a); }
long setreuid(const long* a) { return change(SYS_setreuid, a); }
long setregid(const long* a) { return change(SYS_setregid, a); }
long setresuid(const long* a) { return change(SYS_setresuid, a); }
long setresgid(const long* a) { return change(SYS_setresgid, a); }
long setgroups(const long* a) { return change(SYS_setgroups, a); }

}  // namespace ramie::host

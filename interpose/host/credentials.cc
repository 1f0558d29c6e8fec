// Credentials belong to kernel threads.  glibc has each of the program's threads make the call for
// itself (man 7 nptl), which is one change of the process: the first one makes it for all carriers,
// and for the helper threads, which make blocking calls for fibers.  By syscall() a thread changes
// its own alone, see kernel_state.cc.
#include <sys/syscall.h>

#include "interpose/host/handlers.h"
#include "interpose/host/kick.h"

namespace ramie::host {

long setuid(const long* a) { return change_credentials(SYS_setuid, a); }
long setgid(const long* a) { return change_credentials(SYS_setgid, a); }
long setreuid(const long* a) { return change_credentials(SYS_setreuid, a); }
long setregid(const long* a) { return change_credentials(SYS_setregid, a); }
long setresuid(const long* a) { return change_credentials(SYS_setresuid, a); }
long setresgid(const long* a) { return change_credentials(SYS_setresgid, a); }
long setgroups(const long* a) { return change_credentials(SYS_setgroups, a); }

}  // namespace ramie::host

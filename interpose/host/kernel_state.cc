// What the kernel keeps for each of its threads and only that thread can change: namespaces,
// capabilities, a filter, and the like.  A fiber has none of it, so a thread that changes some has
// a kernel thread of its own from then on, as one that chooses how it is run (scheduling.cc).
#include <asm/prctl.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <sys/prctl.h>

#include <cerrno>

#include "base/lock.h"
#include "base/sys.h"
#include "core/kernel_slice.h"
#include "core/spread.h"
#include "core/tls_choice.h"
#include "interpose/host/binding.h"
#include "interpose/host/entry.h"
#include "interpose/host/handlers.h"
#include "interpose/host/kick.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

void follow(Thread& thread, const char* what) {
  (void)change_thread(thread, thread.tid, {Change::kNoCall, nullptr, 0, what});
}

// setfsuid and setfsgid answer what was before, also where they are refused.
bool has_changed(long number, const long* a, long result) {
  return number == SYS_setfsuid || number == SYS_setfsgid
             ? sys::call(number, -1) == static_cast<int>(a[0])
             : !sys::failed(result);
}

bool is_of_credentials(long number) {
  switch (number) {
    case SYS_setuid:
    case SYS_setgid:
    case SYS_setreuid:
    case SYS_setregid:
    case SYS_setresuid:
    case SYS_setresgid:
    case SYS_setgroups:
      return true;
    default:
      return false;
  }
}

constexpr const char* kFilter = "its system calls are filtered";

// The call, on a kernel thread of the caller's own; an error leaves the caller where it was.
long change(long number, const long* a, const char* what) {
  Thread* thread = current_thread();
  if (thread == nullptr) {
    return kernel(number, a);
  }
  bool had_some = thread->has_kernel_state.exchange(true, std::memory_order_relaxed);
  auto undo = [&] {
    if (!had_some) {
      thread->has_kernel_state.store(false, std::memory_order_relaxed);
      follow(*thread, what);
    }
  };
  if (!had_some) {
    follow(*thread, what);
  }
  if (!is_on_own_kernel_thread(*thread)) {  // there is none to be had: the crew's is not changed
    undo();
    return -EAGAIN;
  }
  uint64_t followed = stop_following(is_of_credentials(number));
  core::tls::Cpu& cpu = thread->fiber->carrier->cpu;
  if (what == kFilter) {
    core::tls::stay_with_traps(cpu);
  }
  long result = kernel(number, a);
  if (what == kFilter && sys::failed(result)) {
    core::tls::choose_again(cpu);
  } else if (what == kFilter) {
    core::tls::note_filter();
  }
  if (!has_changed(number, a, result)) {
    follow_again(followed);
    undo();
  }
  return result;
}

constexpr const char* kNamespaces = "it has namespaces of its own";
constexpr const char* kPrivileges = "its privileges were changed";
constexpr const char* kSettings = "a setting of its own was changed (prctl)";
constexpr const char* kRegisters = "a register of its own was set (arch_prctl)";
constexpr const char* kPersonality = "its personality was changed";
constexpr const char* kMemory = "its memory policy was chosen";

// setfsuid, setfsgid: they answer what was before, whatever they are asked for.
long change_file_id(long number, const long* a) {
  auto wanted = static_cast<int>(a[0]);
  long before = sys::call(number, -1);
  if (wanted == -1 || before == wanted) {
    return before;
  }
  long result = change(number, a, kPrivileges);
  return sys::failed(result) ? before : result;
}

// The option by which one asks for what this one sets, if it is as simple as that.
int question_for(int option) {
  switch (option) {
    case PR_SET_KEEPCAPS:
      return PR_GET_KEEPCAPS;
    case PR_SET_SECUREBITS:
      return PR_GET_SECUREBITS;
    case PR_SET_TIMERSLACK:
      return PR_GET_TIMERSLACK;
    case PR_SET_NO_NEW_PRIVS:
      return PR_GET_NO_NEW_PRIVS;
    default:
      return -1;
  }
}

// The watchdog and the carriers change nothing of each other from here on: the filter may punish
// it, or keep them from putting back what they have changed.  One that is on its way holds the
// lock.
long filter_all(const long* a) {
  core::tls::stay_with_traps();
  base::LockGuard guard(core::moving);
  core::give_slices_up();
  long result = kernel(SYS_seccomp, a);
  // Without a listener, a thread that can't have the filter.
  bool is_listener = (static_cast<unsigned>(a[1]) & SECCOMP_FILTER_FLAG_NEW_LISTENER) != 0;
  if (sys::failed(result) || (result > 0 && !is_listener)) {
    core::try_slices_again();
    core::tls::choose_again();
  } else {
    core::tls::note_filter();
  }
  return result;
}

}  // namespace

long change_own_credentials(long number, const long* a) {
  Thread* thread = current_thread();
  if (!is_of_credentials(number) || thread == nullptr || thread->lends_memory) {
    return sys::kPassOn;
  }
  core::RuntimeSection section(*thread->fiber);
  return change(number, a, kPrivileges);
}

long unshare(const long* a) { return a[0] == 0 ? 0 : change(SYS_unshare, a, kNamespaces); }
long setns(const long* a) { return change(SYS_setns, a, kNamespaces); }
long capset(const long* a) { return change(SYS_capset, a, kPrivileges); }
long setfsuid(const long* a) { return change_file_id(SYS_setfsuid, a); }
long setfsgid(const long* a) { return change_file_id(SYS_setfsgid, a); }
long ioperm(const long* a) { return change(SYS_ioperm, a, kPrivileges); }
long iopl(const long* a) { return change(SYS_iopl, a, kPrivileges); }
long landlock_restrict_self(const long* a) {
  return change(SYS_landlock_restrict_self, a, kPrivileges);
}

long seccomp(const long* a) {
  auto flags = static_cast<unsigned>(a[1]);
  bool is_for_all = a[0] == SECCOMP_SET_MODE_FILTER && (flags & SECCOMP_FILTER_FLAG_TSYNC) != 0;
  if (is_for_all) {
    return filter_all(a);
  }
  bool sets = a[0] == SECCOMP_SET_MODE_FILTER || a[0] == SECCOMP_SET_MODE_STRICT;
  return sets && !is_for_all ? change(SYS_seccomp, a, kFilter) : kernel(SYS_seccomp, a);
}

long personality(const long* a) {
  constexpr unsigned kAsk = ~0U;
  auto wanted = static_cast<unsigned>(a[0]);
  return wanted == kAsk || sys::call(SYS_personality, kAsk) == wanted
             ? kernel(SYS_personality, a)
             : change(SYS_personality, a, kPersonality);
}

long set_mempolicy(const long* a) {
  int now = 0;
  constexpr int kDefault = 0;  // MPOL_DEFAULT
  bool is_default = a[0] == kDefault && a[1] == 0 &&
                    sys::call(SYS_get_mempolicy, sys::arg(&now), 0, 0, 0, 0) == 0 &&
                    now == kDefault;
  return is_default ? kernel(SYS_set_mempolicy, a) : change(SYS_set_mempolicy, a, kMemory);
}

long arch_prctl(const long* a) {
  return a[0] == ARCH_SET_GS || a[0] == ARCH_SET_CPUID ? change(SYS_arch_prctl, a, kRegisters)
                                                       : kernel(SYS_arch_prctl, a);
}

long change_setting(const long* a) {
  auto option = static_cast<int>(a[0]);
  switch (option) {
    case PR_SET_KEEPCAPS:
    case PR_SET_SECUREBITS:
    case PR_SET_TIMERSLACK:
    case PR_SET_NO_NEW_PRIVS:
      if (sys::call(SYS_prctl, question_for(option), 0, 0, 0, 0) == a[1]) {
        return kernel(SYS_prctl, a);
      }
      break;
    case PR_CAP_AMBIENT:
      if (a[1] == PR_CAP_AMBIENT_IS_SET) {
        return kernel(SYS_prctl, a);
      }
      break;
    case PR_SET_PDEATHSIG:
    case PR_SET_SECCOMP:
    case PR_CAPBSET_DROP:
    case PR_SET_TSC:
    case PR_MCE_KILL:
    case PR_SET_SPECULATION_CTRL:
    case PR_SET_IO_FLUSHER:
    case PR_SET_SYSCALL_USER_DISPATCH:
      break;
    default:
      return kernel(SYS_prctl, a);
  }
  return change(SYS_prctl, a, option == PR_SET_SECCOMP ? kFilter : kSettings);
}

}  // namespace ramie::host

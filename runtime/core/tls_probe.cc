#include <sched.h>
#include <signal.h>
#include <sys/auxv.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include "core/tls.h"

namespace ramie::core::tls {
namespace {

constexpr unsigned long kHwcap2Fsgsbase = 1UL << 1;  // arch/x86/include/uapi/asm/hwcap2.h
constexpr long kYes = 0;
constexpr long kNo = 1;

[[noreturn]] void leave(long status) {
  for (;;) {
    sys::call(SYS_exit, status);
  }
}

void not_executed(int) { leave(kNo); }

struct ProbeAction {
  void (*handler)(int);
  unsigned long flags;
  void (*restorer)();
  uint64_t mask;
};

// Runs in the child, on a stack of its own, with the parent's memory and a copy of its signal
// actions.
[[noreturn]] void probe_child() {
  constexpr unsigned long kSaRestorer = 0x04000000;
  // The handler never returns, so what would be its restorer doesn't matter; the kernel wants one.
  ProbeAction action{not_executed, kSaRestorer, nullptr, 0};
  sys::call(SYS_rt_sigaction, SIGILL, sys::arg(&action), 0, 8);
  uint64_t mask = 1UL << (SIGILL - 1);
  sys::call(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::arg(&mask), 0, 8);
  write_fs_base(read_fs_base());
  leave(kYes);
}

// vfork without its dangers: the child has a stack of its own, and its exit sends no signal.
long start_child(void* stack_top) {
  long result;
  register long r10 asm("r10") = 0;
  register long r8 asm("r8") = 0;
  register void (*entry)() asm("r9") = probe_child;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "call *%%r9\n\t"
      "ud2\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(CLONE_VM | CLONE_VFORK), "S"(stack_top), "d"(0L), "r"(r10), "r"(r8),
        "r"(entry)
      : "rcx", "r11", "memory");
  return result;
}

// A host that lets us ask neither way (no room, no process, a seccomp filter) is treated as one
// where it doesn't execute.
bool instruction_executes() {
  constexpr long kStackSize = 64L << 10;  // room for a signal frame with every vector register
  long stack = sys::call(SYS_mmap, 0, kStackSize, PROT_READ | PROT_WRITE,
                         MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
  if (sys::failed(stack)) {
    return false;
  }
  // Signals wait until the child is gone: it must not run the program's handlers.
  uint64_t all = ~0UL;
  uint64_t before = 0;
  sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&all), sys::arg(&before), 8);
  long child = start_child(reinterpret_cast<void*>(stack + kStackSize));
  int status = -1;
  if (child > 0) {
    while (sys::call(SYS_wait4, child, sys::arg(&status), __WCLONE) == -EINTR) {
    }
  }
  sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&before), 0, 8);
  sys::call(SYS_munmap, stack, kStackSize);
  return child > 0 && WIFEXITED(status) && WEXITSTATUS(status) == kYes;
}

}  // namespace

Mode probe() {
  if ((getauxval(AT_HWCAP2) & kHwcap2Fsgsbase) != 0) {
    return Mode::fsgsbase;
  }
  return instruction_executes() ? Mode::trap : Mode::prctl;
}

}  // namespace ramie::core::tls

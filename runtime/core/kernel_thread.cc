#include "core/kernel_thread.h"

#include <sched.h>
#include <signal.h>
#include <sys/mman.h>

#include "base/one_thread.h"
#include "base/sys.h"
#include "core/kernel_slice.h"
#include "core/sanitizer.h"

#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
#include <pthread.h>
#endif

namespace ramie::core {
namespace {

uint64_t block_all_signals() {
  uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  (void)sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&all), sys::arg(&before), sizeof all);
  return before;
}

void restore_signals(uint64_t mask) {
  (void)sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&mask), 0, sizeof mask);
}

#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)

// Instrumented code uses thread-locals everywhere, so it needs a real thread.  These builds hold no
// shim; pthread_create is libc's.
void* run_pthread(void* argument) {
  auto& thread = *static_cast<KernelThread*>(argument);
  thread.tid.store(static_cast<uint32_t>(sys::gettid()), std::memory_order_relaxed);
  thread.run(thread);
  thread.tid.store(0, std::memory_order_release);
  return nullptr;
}

}  // namespace

int start_kernel_thread(KernelThread& thread) {
  AsUsual for_the_child;
  thread.tid.store(1, std::memory_order_relaxed);
  pthread_t handle;
  uint64_t before = block_all_signals();  // the thread must never run a handler of the program
  int error = pthread_create(&handle, nullptr, run_pthread, &thread);
  restore_signals(before);
  if (error == 0) {
    pthread_detach(handle);
  } else {
    thread.tid.store(0, std::memory_order_relaxed);
  }
  return -error;
}

#else

constexpr long kGuardSize = 4096;

// The first code of the thread.  It can't return: below it there is nothing.
[[noreturn]] void begin(KernelThread& thread) {
  (void)block_all_signals();
  thread.run(thread);
  for (;;) {
    (void)sys::call(SYS_exit, 0);
  }
}

// clone(2) leaves the child on the new stack in the middle of this function, whose frame is on the
// old one: so the child goes on with nothing but registers.
long clone_thread(KernelThread& thread) {
  long flags = CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_SYSVSEM |
               CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID |
               (thread.fs_base != 0 ? CLONE_SETTLS : 0);
  long result;
  register long child_tid asm("r10") = sys::arg(&thread.tid);
  register long tls asm("r8") = static_cast<long>(thread.fs_base);
  register KernelThread* kept asm("r12") = &thread;
  asm volatile(
      "syscall\n\t"
      "testq %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xorl %%ebp, %%ebp\n\t"
      "movq %%r12, %%rdi\n\t"
      "call *%%rbx\n\t"
      "hlt\n"
      "1:"
      : "=a"(result)
      : "a"(SYS_clone), "D"(flags), "S"(thread.stack + thread.stack_size), "d"(&thread.tid),
        "r"(child_tid), "r"(tls), "r"(kept), "b"(&begin)
      : "rcx", "r11", "memory");
  return result;
}

}  // namespace

int start_kernel_thread(KernelThread& thread) {
  base::has_own_threads.store(true, std::memory_order_relaxed);
  if (thread.stack == nullptr) {
    long memory = sys::call(SYS_mmap, 0, static_cast<long>(thread.stack_size),
                            PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_STACK, -1, 0);
    if (sys::failed(memory)) {
      return static_cast<int>(memory);
    }
    thread.stack = reinterpret_cast<char*>(memory);
    (void)sys::call(SYS_mprotect, memory, kGuardSize, PROT_NONE);
  }
  AsUsual for_the_child;
  // The thread must never run a handler of the program, so it is born with everything blocked.
  // SIGSEGV too, by which the FS base of this thread here is repaired: no thread-local is touched
  // until that is over.
  uint64_t before = block_all_signals();
  long result = clone_thread(thread);
  restore_signals(before);
  return result < 0 ? static_cast<int>(result) : 0;
}

#endif

}  // namespace ramie::core

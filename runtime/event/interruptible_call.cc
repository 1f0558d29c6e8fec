#include "event/interruptible_call.h"

#include <cerrno>

#include "base/sys.h"
#include "core/internal_signal.h"

// long ramie_interruptible_call(const uint32_t* interrupted, long number, const long* arguments)
asm(R"(
  .text
  .p2align 4
  .type ramie_interruptible_call, @function
  .hidden ramie_interruptible_call, ramie_interruptible_begin
  .hidden ramie_interruptible_enter, ramie_interruptible_abort
  .globl ramie_interruptible_call, ramie_interruptible_begin
  .globl ramie_interruptible_enter, ramie_interruptible_abort
ramie_interruptible_call:
  .cfi_startproc
  movq %rdi, %rcx
  movq %rsi, %rax
  movq %rdx, %r11
  movq (%r11), %rdi
  movq 8(%r11), %rsi
  movq 16(%r11), %rdx
  movq 24(%r11), %r10
  movq 32(%r11), %r8
  movq 40(%r11), %r9
ramie_interruptible_begin:
  cmpl $0, (%rcx)
  jne ramie_interruptible_abort
ramie_interruptible_enter:
  syscall
  ret
ramie_interruptible_abort:
  movq $-4, %rax
  ret
  .cfi_endproc
  .size ramie_interruptible_call, . - ramie_interruptible_call
)");

extern "C" {
long ramie_interruptible_call(const std::atomic<uint32_t>* interrupted, long number,
                              const long* arguments);
extern const char ramie_interruptible_begin[];
extern const char ramie_interruptible_enter[];
extern const char ramie_interruptible_abort[];
}

namespace ramie::event {
namespace {

static_assert(EINTR == 4);
static_assert(sizeof(std::atomic<uint32_t>) == 4);

// What tells our signal from one that the program or glibc has sent.
constinit const char mark = 0;

}  // namespace

long interruptible_call(const std::atomic<uint32_t>& interrupted, long number,
                        const long arguments[6]) {
  for (;;) {
    long result = ramie_interruptible_call(&interrupted, number, arguments);
    // A signal that was meant for the job before this one ends nothing.
    if (result != -EINTR || interrupted.load(std::memory_order_acquire) != 0) {
      return result;
    }
  }
}

void let_interruptions_in() {
  uint64_t set = uint64_t{1} << (core::kInternalSignal - 1);
  (void)sys::call(SYS_rt_sigprocmask, SIG_UNBLOCK, sys::arg(&set), 0, sizeof set);
}

void interrupt_call(int tid) { core::send_internal_signal(tid, &mark); }

bool handle_interrupt(const siginfo_t& info, ucontext_t& context) {
  if (!core::is_marked(info, &mark)) {
    return false;
  }
  auto& at = context.uc_mcontext.gregs[REG_RIP];
  if (at >= reinterpret_cast<greg_t>(ramie_interruptible_begin) &&
      at <= reinterpret_cast<greg_t>(ramie_interruptible_enter)) {
    at = reinterpret_cast<greg_t>(ramie_interruptible_abort);
  }
  return true;
}

}  // namespace ramie::event

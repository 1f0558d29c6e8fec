#include "interpose/host/passed_call.h"

#include <cerrno>

// long ramie_passed_call(long number, const long* arguments)
//
// The processor leaves the address behind the instruction in rcx, where the kernel finds it again
// as it restarts the call.  So rcx tells a call that was interrupted from one that has not begun.
asm(R"(
  .text
  .p2align 4
  .type ramie_passed_call, @function
  .hidden ramie_passed_call, ramie_passed_enter, ramie_passed_left
  .globl ramie_passed_call, ramie_passed_enter, ramie_passed_left
ramie_passed_call:
  .cfi_startproc
  movq %rdi, %rax
  movq %rsi, %r11
  movq (%r11), %rdi
  movq 8(%r11), %rsi
  movq 16(%r11), %rdx
  movq 24(%r11), %r10
  movq 32(%r11), %r8
  movq 40(%r11), %r9
  xorl %ecx, %ecx
ramie_passed_enter:
  syscall
ramie_passed_left:
  ret
  .cfi_endproc
  .size ramie_passed_call, . - ramie_passed_call
)");

extern "C" {
long ramie_passed_call(long number, const long* arguments);
extern const char ramie_passed_enter[];
extern const char ramie_passed_left[];
}

namespace ramie::host {

long passed_call(long number, const long* arguments) {
  return ramie_passed_call(number, arguments);
}

void end_passed_call(ucontext_t& context) {
  greg_t* registers = context.uc_mcontext.gregs;
  auto left = reinterpret_cast<greg_t>(ramie_passed_left);
  if (registers[REG_RIP] == reinterpret_cast<greg_t>(ramie_passed_enter) &&
      registers[REG_RCX] == left) {
    registers[REG_RIP] = left;
    registers[REG_RAX] = -EINTR;
  }
}

}  // namespace ramie::host

// vfork(2).  Parent and child return into the same frame one after the other, so nothing may be left
// on the stack across the system call: the return address waits in rdi, which the kernel keeps.
  .text
  .globl vfork
  .type vfork, @function
  .globl __vfork
  .set __vfork, vfork
vfork:
  .cfi_startproc
  sub $8, %rsp
  .cfi_adjust_cfa_offset 8
  call ramie_start_vfork
  add $8, %rsp
  .cfi_adjust_cfa_offset -8
  pop %rdi
  .cfi_adjust_cfa_offset -8
  .cfi_register rip, rdi
  mov $58, %eax
  syscall
  push %rdi
  .cfi_adjust_cfa_offset 8
  .cfi_rel_offset rip, 0
  test %rax, %rax
  js 1f
  ret
1:
  mov %rax, %rdi
  jmp ramie_finish
  .cfi_endproc
  .size vfork, . - vfork
  .hidden ramie_start_vfork
  .hidden ramie_finish
  .section .note.GNU-stack, "", @progbits

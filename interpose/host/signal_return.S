// A handler returns to here.  The stack pointer is at the frame's ucontext, as for the kernel's own
// rt_sigreturn.  Unwinders (a thread's cancellation, pthread_exit in a handler) find the registers of
// the interrupted code there: by DW_CFA_def_cfa_expression and DW_CFA_expression, whose operations are
// breg7 (rsp) with the register's offset in ucontext.
  .text
  .p2align 4
  .cfi_startproc simple
  .cfi_signal_frame
  .cfi_escape 0x0f, 4, 0x77, 0xa0, 0x01, 0x06
  .cfi_escape 0x10, 8, 2, 0x77, 0x28
  .cfi_escape 0x10, 9, 2, 0x77, 0x30
  .cfi_escape 0x10, 10, 2, 0x77, 0x38
  .cfi_escape 0x10, 11, 3, 0x77, 0xc0, 0x00
  .cfi_escape 0x10, 12, 3, 0x77, 0xc8, 0x00
  .cfi_escape 0x10, 13, 3, 0x77, 0xd0, 0x00
  .cfi_escape 0x10, 14, 3, 0x77, 0xd8, 0x00
  .cfi_escape 0x10, 15, 3, 0x77, 0xe0, 0x00
  .cfi_escape 0x10, 5, 3, 0x77, 0xe8, 0x00
  .cfi_escape 0x10, 4, 3, 0x77, 0xf0, 0x00
  .cfi_escape 0x10, 6, 3, 0x77, 0xf8, 0x00
  .cfi_escape 0x10, 3, 3, 0x77, 0x80, 0x01
  .cfi_escape 0x10, 1, 3, 0x77, 0x88, 0x01
  .cfi_escape 0x10, 0, 3, 0x77, 0x90, 0x01
  .cfi_escape 0x10, 2, 3, 0x77, 0x98, 0x01
  .cfi_escape 0x10, 7, 3, 0x77, 0xa0, 0x01
  .cfi_escape 0x10, 16, 3, 0x77, 0xa8, 0x01
  nop
  .hidden ramie_sigreturn
  .globl ramie_sigreturn
  .type ramie_sigreturn, @function
ramie_sigreturn:
  mov %rsp, %rbx
  mov %rsp, %rdi
  and $-16, %rsp
  call ramie_leave_handler
  mov %rbx, %rsp
  mov $15, %eax
  syscall
  ud2
  .cfi_endproc
  .size ramie_sigreturn, . - ramie_sigreturn
  .hidden ramie_leave_handler
  .section .note.GNU-stack, "", @progbits

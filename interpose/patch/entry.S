// Where all trampolines meet.  See entry.h for the contract and trampoline.h for the caller's side:
//
//     lea   -128(%rsp), %rsp        // leave the red zone alone
//     call  entry
//  R: nopl  (syscall + 2 - R)(%rax) // carries the site's address
//     jmp   1f                      // these two only in trampolines of the "any" entries
//     syscall
//  1: ...
//
// The kernel keeps all registers but rax, rcx and r11, so those are all that is used before the
// others are saved.  It keeps the flags too.  Nothing on the way to the raw call changes them (lea,
// movzx and jrcxz do not, nor does `ret $128`, which also drops the red zone), so saving them is
// left to the way into C++.  popfq takes 5 ns and more, and is left to a direction flag that was
// set; the arithmetic flags come back by an addition that overflows or not, and sahf (which every
// processor has since 2006).
//
// Vector state.  Code outside of libc arrives through function calls, across which every vector
// register is dead.  Code inside of libc makes system calls from inline assembler, across which the
// compiler may keep values in xmm registers, so all sixteen are saved (3 ns; fxsave and fxrstor
// would be 78).  An x87 value can live across the call only in a function that uses x87
// instructions, as the x87 stack is empty at every call and return; wider vector registers only in
// objects compiled for them.  Such sites have the "wide" entries.  MXCSR and the x87 control word
// belong to the fiber and are kept by its switch.
//
// Unwinding.  The entry's frame is described as if the site itself had called it: the frame's CFA
// is the stack pointer at the site, and the return address is computed from the nopl behind R.  So
// a C++ exception, a thread's cancellation and a debugger pass from here into libc's function, and
// trampolines need no description of their own.
//
// Dispatched.  Where text isn't rewritten, a signal handler (interpose/host/user_dispatch.cc) does
// what a trampoline does: it pushes the return address itself.

#define PC_AFTER_SYSCALL                                                                  \
  .cfi_escape 0x16, 0x10, 16, /* rip is the value of: */                                  \
      0x08, 136, 0x1c, 0x06,  /*   R, which stands at CFA - 136 */                        \
      0x12, 0x33, 0x22,       /*   dup, R + 3: the nopl's displacement */                 \
      0x94, 4, 0x08, 32, 0x24, 0x08, 32, 0x26, /* 4 bytes, sign-extended by two shifts */ \
      0x22                    /*   R + displacement */

#define SYSCALL_RT_SIGRETURN 15
#define SYSCALL_CLONE 56
#define SYSCALL_VFORK 58
#define SYSCALL_CLONE3 435

// From R to the raw syscall in a trampoline of the "any" entries: nopl (7), jmp (2).
#define RAW_FROM_R 9

// What xsave needs for x87 to AVX-512, and where its header is.
#define WIDE_AREA 2688
#define WIDE_HEADER 512

// The flags are pushed first, and rbp points at the last of seven registers behind them.
#define FLAGS_ABOVE_RBP 56
#define DIRECTION_IN_SECOND_BYTE 4

// Jumps to \to if eax is \number, by way of rcx and without touching the flags.
.macro jump_if_number number, to
  lea -\number(%rax), %ecx
  jrcxz \to
.endm

.macro xmm_each instruction_to_memory:req
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    .if \instruction_to_memory
      movaps %xmm\n, (16 * \n)(%rsp)
    .else
      movaps (16 * \n)(%rsp), %xmm\n
    .endif
  .endr
.endm

.macro save_wide
  sub $WIDE_AREA, %rsp
  and $-64, %rsp
  mov ramie_patch_state_mask(%rip), %eax
  test %eax, %eax
  jz 3f
  xor %edx, %edx
  // xsave leaves most of its header as it was, and xrstor insists on zeros there.
  .irp n, 0, 8, 16, 24, 32, 40, 48, 56
    movq $0, (WIDE_HEADER + \n)(%rsp)
  .endr
  xsave64 (%rsp)
  jmp 4f
3:
  fxsave64 (%rsp)
4:
.endm

// Keeps the result, which is in rax, by way of rdi.
.macro restore_wide
  mov %rax, %rdi
  mov ramie_patch_state_mask(%rip), %eax
  test %eax, %eax
  jz 5f
  xor %edx, %edx
  xrstor64 (%rsp)
  jmp 6f
5:
  fxrstor64 (%rsp)
6:
  mov %rdi, %rax
.endm

.macro define_entry name, any, wide, dispatched=0
  .globl \name
  .hidden \name
  .type \name, @function
  .balign 64
  .cfi_startproc
  .cfi_def_cfa_offset 136
.if \dispatched
  .cfi_offset rip, -136
.else
  PC_AFTER_SYSCALL
.endif

.if \any
  // Out of the entry's frame and on to the trampoline's own syscall instruction, where the stack
  // pointer is the site's: for calls that return on another stack, or into this one twice.
.Lon_own_stack_\@:
  pop %rcx
  lea 128(%rsp), %rsp
  lea RAW_FROM_R(%rcx), %rcx
  jmp *%rcx

  // A clone that is no more than a fork: no stack of its own, nothing shared (CLONE_VM to
  // CLONE_PARENT are the second byte of the flags).
.Lclone_\@:
  mov %rsi, %rcx
  jrcxz 7f
  jmp .Lon_own_stack_\@
7:
  mov %edi, %ecx
  movzx %ch, %ecx
  jrcxz .Lcommon_\@
  jmp .Lon_own_stack_\@
.endif

.Lraw_\@:
.if \any
  jump_if_number SYSCALL_CLONE3, .Lon_own_stack_\@
.endif
  syscall
  ret $128

\name:
.if \any
  jump_if_number SYSCALL_RT_SIGRETURN, .Lon_own_stack_\@
  jump_if_number SYSCALL_CLONE, .Lclone_\@
  jump_if_number SYSCALL_VFORK, .Lon_own_stack_\@
.Lcommon_\@:
.endif
  movzbl ramie_patch_active(%rip), %ecx
  jrcxz .Lraw_\@

  pushfq
  .cfi_adjust_cfa_offset 8
  .irp register, r9, r8, r10, rdx, rsi, rdi, rbp
    push %\register
    .cfi_adjust_cfa_offset 8
    .cfi_rel_offset \register, 0
  .endr
  mov %rsp, %rbp
  .cfi_def_cfa_register rbp
  lea 8(%rsp), %rsi
  movslq %eax, %rdi
.if \wide
  save_wide
.else
  sub $256, %rsp
  and $-16, %rsp
  xmm_each 1
.endif
  testb $DIRECTION_IN_SECOND_BYTE, (FLAGS_ABOVE_RBP + 1)(%rbp)
  jz 7f
  cld
7:
  call ramie_syscall
.if \wide
  restore_wide
.else
  xmm_each 0
.endif
  mov %rbp, %rsp
  .cfi_def_cfa_register rsp
  .irp register, rbp, rdi, rsi, rdx, r10, r8, r9
    pop %\register
    .cfi_adjust_cfa_offset -8
    .cfi_restore \register
  .endr
  .cfi_remember_state
  mov %rax, %rcx
  mov (%rsp), %eax
  test $(DIRECTION_IN_SECOND_BYTE << 8), %eax
  jnz 8f
  mov %eax, %r11d
  shr $11, %r11d
  and $1, %r11d
  add $0x7f, %r11b  // overflows if it was 1
  mov %al, %ah
  sahf
  mov %rcx, %rax
  lea 8(%rsp), %rsp
  .cfi_adjust_cfa_offset -8
  ret $128
8:
  .cfi_restore_state
  mov %rcx, %rax
  popfq
  .cfi_adjust_cfa_offset -8
  ret $128
  .cfi_endproc
  .size \name, . - \name
.endm

  .hidden ramie_syscall
  .hidden ramie_patch_active
  .hidden ramie_patch_state_mask
  // Beside the C++ that is on every call's way, see dispatch.cc.
  .section .text.hot, "ax", @progbits
  define_entry ramie_patch_entry, 0, 0
  define_entry ramie_patch_entry_wide, 0, 1
  define_entry ramie_patch_entry_any, 1, 0
  define_entry ramie_patch_entry_any_wide, 1, 1
  define_entry ramie_dispatched_entry, 0, 1, 1

// For calls that must be made on the site's own stack: 32 places, each of which makes the call and
// goes on where its word in `returns` says; and one more that goes on at r9.
.macro define_in_place name, returns, instruction:vararg
  .hidden \returns
  .globl \name
  .hidden \name
  .type \name, @function
  .balign 16
\name:
  .cfi_startproc
  .cfi_def_cfa rsp, 0
  .cfi_undefined rip
  .set place, 0
  .rept 32
    \instruction
    jmp *(\returns + 8 * place)(%rip)
    .balign 16
    .set place, place + 1
  .endr
  .cfi_register rip, r9
  \instruction
  jmp *%r9
  .cfi_endproc
  .size \name, . - \name
.endm

  define_in_place ramie_syscall_in_place, ramie_returns_of_syscall, syscall
  define_in_place ramie_int80_in_place, ramie_returns_of_int80, int $0x80

  .section .note.GNU-stack, "", @progbits

// A decoder of x86-64 instructions, as far as moving one needs it: how long it is, whether it
// branches and where to, and whether it would mean the same at another address.
//
// It is for the patcher, which walks libc's own functions.  It is not a disassembler: it names no
// operation, and it answers "not an instruction" where processors disagree or where the encoding is
// not valid in 64-bit mode.  It reads no more than kMaxInstruction bytes and touches no memory but
// the text it is given.  Source: Intel SDM volume 2, chapter 2 and appendix A.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ramie::patch {

inline constexpr std::size_t kMaxInstruction = 15;

// What the processor does after the instruction.
enum class Flow : std::uint8_t {
  kNext,         // goes on behind it
  kJump,         // goes to target
  kBranch,       // goes to target or on behind it
  kCall,         // goes to target and, as a rule, comes back
  kCallThrough,  // the same by register or memory
  kJumpThrough,  // goes where a register or memory says
  kReturn,       // ret, iret, sysret
  kStop,         // hlt, ud2, int3: does not go on
};

struct Instruction {
  // 0 where the bytes are no instruction that this decoder knows; all else is then meaningless.
  std::uint8_t length = 0;
  // Where the opcode's last byte stands, and its map: 0 one-byte, 1 behind 0f, 2 0f38, 3 0f3a.
  std::uint8_t opcode_at = 0;
  std::uint8_t opcode = 0;
  std::uint8_t map = 0;
  // The raw REX byte, or 0; for VEX and EVEX 0.
  std::uint8_t rex = 0;
  bool has_modrm = false;
  std::uint8_t modrm = 0;
  bool operand_size_prefix = false;
  Flow flow = Flow::kNext;
  // Some operand is addressed relative to the instruction's own end.
  bool rip_relative = false;
  // Pushes, pops, or names rsp as a register (not merely as the base of a memory operand).
  bool uses_stack_pointer = false;
  bool is_syscall = false;
  bool is_endbr = false;
  // Vector encodings that reach beyond xmm, and the x87 stack.
  bool is_vex = false;
  bool is_x87 = false;
  // Address reached by kJump, kBranch and kCall.
  const std::uint8_t* target = nullptr;
  // The sign-extended immediate of the one-byte-map instructions that end in one, else 0.
  std::int64_t immediate = 0;
};

// Decodes what stands at `text`, reading nothing at or behind `end`.
[[nodiscard]] Instruction decode(const std::uint8_t* text, const std::uint8_t* end);

// True if the instruction does the same thing when it is executed at another address.
[[nodiscard]] inline bool is_movable(const Instruction& instruction) {
  return instruction.length != 0 && instruction.flow == Flow::kNext && !instruction.rip_relative &&
         !instruction.uses_stack_pointer && !instruction.is_syscall && !instruction.is_endbr;
}

}  // namespace ramie::patch

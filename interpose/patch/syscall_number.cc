#include "interpose/patch/syscall_number.h"

namespace ramie::patch {
namespace {

constexpr int kMaxSteps = 64;
constexpr unsigned kRax = 0;
constexpr unsigned kRdx = 2;

unsigned reg_operand(const Instruction& i) {
  return ((i.modrm >> 3) & 7) | ((i.rex & 4) != 0 ? 8 : 0);
}
unsigned rm_operand(const Instruction& i) { return (i.modrm & 7) | ((i.rex & 1) != 0 ? 8 : 0); }
unsigned opcode_operand(const Instruction& i) {
  return (i.opcode & 7) | ((i.rex & 1) != 0 ? 8 : 0);
}
bool rm_is_register(const Instruction& i) { return (i.modrm >> 6) == 3; }

// What an instruction does to the register that is followed.
enum class Effect : std::uint8_t { kLeaves, kLoads, kCopies, kUnknown };

struct Step {
  Effect effect;
  std::int64_t value = 0;  // of kLoads
  unsigned source = 0;     // of kCopies
};

constexpr Step kLeaves{Effect::kLeaves};
constexpr Step kUnknown{Effect::kUnknown};

Step writes(bool followed) { return followed ? kUnknown : kLeaves; }

Step writes_rm(const Instruction& i, unsigned reg) {
  return writes(rm_is_register(i) && rm_operand(i) == reg);
}

// add, or, adc, sbb, and, sub, xor, cmp in their six register and accumulator forms.
Step arithmetic(const Instruction& i, unsigned reg) {
  const bool is_xor = (i.opcode & 0xf8) == 0x30;
  const bool is_compare = (i.opcode & 0xf8) == 0x38;
  if (is_compare) return kLeaves;
  const unsigned form = i.opcode & 7;
  if (form >= 4) return writes(reg == kRax);
  const bool clears = is_xor && (form & 1) != 0 && rm_is_register(i) && !i.operand_size_prefix &&
                      rm_operand(i) == reg_operand(i);
  if (clears && rm_operand(i) == reg) return {Effect::kLoads};
  return form < 2 ? writes_rm(i, reg) : writes(reg_operand(i) == reg);
}

Step move(const Instruction& i, unsigned reg) {
  const bool full = (i.opcode & 1) != 0 && !i.operand_size_prefix && rm_is_register(i);
  const bool stores = i.opcode < 0x8a;
  const unsigned destination = stores ? rm_operand(i) : reg_operand(i);
  if (stores && !rm_is_register(i)) return kLeaves;
  if (destination != reg) return kLeaves;
  if (!full) return kUnknown;
  return {Effect::kCopies, 0, stores ? reg_operand(i) : rm_operand(i)};
}

Step one_byte_effect(const Instruction& i, unsigned reg) {
  const std::uint8_t op = i.opcode;
  const unsigned extension = (i.modrm >> 3) & 7;
  if (op < 0x40) return arithmetic(i, reg);
  if (op >= 0x50 && op <= 0x57) return kLeaves;
  if (op >= 0x70 && op <= 0x7f) return kLeaves;
  if (op >= 0x88 && op <= 0x8b) return move(i, reg);
  if (op >= 0xb0 && op <= 0xb7)
    return writes(i.rex != 0 ? opcode_operand(i) == reg : (op & 3u) == reg);
  if (op >= 0xb8 && op <= 0xbf) {
    if (opcode_operand(i) != reg) return kLeaves;
    return i.operand_size_prefix ? kUnknown : Step{Effect::kLoads, i.immediate};
  }
  switch (op) {
    case 0x63:
    case 0x69:
    case 0x6b:
    case 0x8d:
      return writes(reg_operand(i) == reg);
    case 0x84:
    case 0x85:
    case 0x90:
    case 0xa8:
    case 0xa9:
      return kLeaves;
    case 0x80:
    case 0x81:
    case 0x83:
      return extension == 7 ? kLeaves : writes_rm(i, reg);
    case 0xc7:
      if (!rm_is_register(i) || rm_operand(i) != reg) return kLeaves;
      return i.operand_size_prefix ? kUnknown : Step{Effect::kLoads, i.immediate};
    case 0xc0:
    case 0xc1:
    case 0xc6:
    case 0xd0:
    case 0xd1:
    case 0xd3:
      return writes_rm(i, reg);
    case 0xf6:
    case 0xf7:
      if (extension < 2) return kLeaves;
      return extension < 4 ? writes_rm(i, reg) : writes(reg == kRax || reg == kRdx);
    case 0xfe:
    case 0xff:
      return extension < 2 ? writes_rm(i, reg) : kUnknown;
    default:
      return kUnknown;
  }
}

Step two_byte_effect(const Instruction& i, unsigned reg) {
  const std::uint8_t op = i.opcode;
  if (op >= 0x18 && op <= 0x1f) return kLeaves;                        // nop, prefetch
  if (op >= 0x40 && op <= 0x4f) return writes(reg_operand(i) == reg);  // cmov
  if (op >= 0x80 && op <= 0x8f) return kLeaves;                        // jcc
  if (op >= 0x90 && op <= 0x9f) return writes_rm(i, reg);              // set
  if (op >= 0xb6 && op <= 0xbf && op != 0xb8 && op != 0xb9 && op != 0xba && op != 0xbb) {
    return writes(reg_operand(i) == reg);  // movzx, movsx
  }
  switch (op) {
    case 0x10:  // moves between xmm registers and memory
    case 0x11:
    case 0x16:
    case 0x28:
    case 0x29:
    case 0x57:
    case 0x6c:
    case 0x6e:
    case 0x6f:
    case 0x7f:
    case 0xd6:
    case 0xef:
      return kLeaves;
    default:
      return kUnknown;
  }
}

// Calls keep rbx, rbp and r12 to r15.
bool survives_call(unsigned reg) { return reg == 3 || reg == 5 || reg >= 12; }

Step effect(const Instruction& i, unsigned reg) {
  if (i.is_syscall) return writes(reg == kRax || reg == 1 || reg == 11);
  if (i.flow == Flow::kCall || i.flow == Flow::kCallThrough) return writes(!survives_call(reg));
  if (i.flow != Flow::kNext && i.flow != Flow::kBranch) return kLeaves;
  if (i.is_vex) return kUnknown;
  if (i.map == 0) return one_byte_effect(i, reg);
  return i.map == 1 ? two_byte_effect(i, reg) : kUnknown;
}

}  // namespace

SyscallNumber find_number(const ControlFlow& flow, const std::uint8_t* syscall) {
  SyscallNumber result{Site::kNoNumber, NumberSource::kKnown};
  unsigned followed = kRax;
  const std::uint8_t* at = syscall;
  for (int steps = 0; steps < kMaxSteps; ++steps) {
    if (flow.is_target(at)) result.source = NumberSource::kLikely;
    const std::uint8_t* before = flow.previous(at);
    if (before == nullptr) break;
    const Instruction instruction = decode(before, at);
    const bool falls_through =
        instruction.flow == Flow::kNext || instruction.flow == Flow::kBranch ||
        instruction.flow == Flow::kCall || instruction.flow == Flow::kCallThrough;
    if (!falls_through) result.source = NumberSource::kLikely;
    const Step step = effect(instruction, followed);
    if (step.effect == Effect::kUnknown) break;
    if (step.effect == Effect::kCopies) followed = step.source;
    if (step.effect == Effect::kLoads) {
      // The kernel looks at eax alone.
      result.value = static_cast<int>(step.value);
      return result;
    }
    at = before;
  }
  return {};
}

}  // namespace ramie::patch

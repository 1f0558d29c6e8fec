#include "interpose/patch/decode.h"

#include <cstring>

#include "interpose/patch/opcode_table.h"

namespace ramie::patch {
namespace {

constexpr std::uint8_t kRexW = 8;
constexpr std::uint8_t kRexR = 4;
constexpr std::uint8_t kRexB = 1;
constexpr unsigned kRsp = 4;

// What the letters of the opcode tables say about the modrm byte.
struct Forms {
  bool has_modrm[128] = {};
  bool reg_is_register[128] = {};

  constexpr Forms() {
    for (const char* form = "mMZgGHt"; *form != 0; ++form) has_modrm[+*form] = true;
    for (const char* form = "mMZ"; *form != 0; ++form) reg_is_register[+*form] = true;
  }
};
constexpr Forms kForms;

// Reads forward through one instruction; `ok` turns false at the end of the text.
struct Cursor {
  const std::uint8_t* start;
  const std::uint8_t* at;
  const std::uint8_t* end;
  bool ok = true;

  std::uint8_t byte() {
    if (at >= end) {
      ok = false;
      return 0;
    }
    return *at++;
  }
  // The sign-extended little-endian number of `size` bytes: 0, 1, 2, 3, 4 or 8.
  std::int64_t immediate(std::size_t size) {
    if (static_cast<std::size_t>(end - at) < size) {
      ok = false;
      return 0;
    }
    at += size;
    switch (size) {
      case 1:
        return load<std::int8_t>(at - 1);
      case 4:
        return load<std::int32_t>(at - 4);
      case 8:
        return load<std::int64_t>(at - 8);
      case 2:
      case 3:  // only enter, whose operands nobody asks for
        return load<std::int16_t>(at - 2);
      default:
        return 0;
    }
  }

  template <class T>
  static T load(const std::uint8_t* from) {
    T value;
    std::memcpy(&value, from, sizeof value);
    return value;
  }
};

struct Prefixes {
  bool operand_size = false;
  bool address_size = false;
  bool repeat = false;  // f3
};

// A REX byte counts only directly before the opcode, so that any later prefix cancels it.
Prefixes read_prefixes(Cursor& in, Instruction& out) {
  Prefixes prefixes;
  while (in.at < in.end && kOneByteMap[*in.at] == 'p') {
    const std::uint8_t byte = *in.at++;
    out.rex = (byte & 0xf0) == 0x40 ? byte : 0;
    prefixes.operand_size |= byte == 0x66;
    prefixes.address_size |= byte == 0x67;
    prefixes.repeat |= byte == 0xf3;
  }
  out.operand_size_prefix = prefixes.operand_size;
  return prefixes;
}

// VEX (c4, c5), EVEX (62) and XOP (8f with a map of 8 or more).  Returns the form's letter.
char read_vector_opcode(Cursor& in, Instruction& out, std::uint8_t escape) {
  out.is_vex = true;
  out.rex = 0;
  if (escape == 0xc5) {
    in.byte();
    out.map = 1;
  } else {
    const std::uint8_t first = in.byte();
    in.byte();
    if (escape == 0x62) in.byte();
    out.map = escape == 0x62 ? first & 7 : first & 31;
  }
  out.opcode_at = static_cast<std::uint8_t>(in.at - in.start);
  out.opcode = in.byte();
  if (escape == 0x8f) {
    if (out.map == 8) return 'M';
    if (out.map == 9) return 'm';
    return out.map == 10 ? 'Z' : 'x';
  }
  const bool known =
      (out.map >= 1 && out.map <= 3) || (escape == 0x62 && (out.map == 5 || out.map == 6));
  return known ? vector_form(out.map, out.opcode) : 'x';
}

char read_opcode(Cursor& in, Instruction& out) {
  out.opcode_at = static_cast<std::uint8_t>(in.at - in.start);
  out.opcode = in.byte();
  const bool more = in.at < in.end;
  if (out.opcode == 0x62 || out.opcode == 0xc4 || out.opcode == 0xc5) {
    return read_vector_opcode(in, out, out.opcode);
  }
  if (out.opcode == 0x8f && more && (*in.at & 31) >= 8) return read_vector_opcode(in, out, 0x8f);
  if (out.opcode != 0x0f) return kOneByteMap[out.opcode];

  out.map = 1;
  out.opcode_at = static_cast<std::uint8_t>(in.at - in.start);
  out.opcode = in.byte();
  if (out.opcode != 0x38 && out.opcode != 0x3a) return kTwoByteMap[out.opcode];
  out.map = out.opcode == 0x38 ? 2 : 3;
  out.opcode_at = static_cast<std::uint8_t>(in.at - in.start);
  out.opcode = in.byte();
  return out.map == 2 ? 'm' : 'M';
}

void read_modrm(Cursor& in, Instruction& out, bool reg_is_register) {
  out.has_modrm = true;
  out.modrm = in.byte();
  const unsigned mod = out.modrm >> 6;
  const unsigned rm = out.modrm & 7;
  // The stack pointer as a register.  Vector registers of the same number count too: a needless
  // refusal costs nothing.
  if (reg_is_register && ((out.modrm >> 3) & 7) == kRsp && (out.rex & kRexR) == 0) {
    out.uses_stack_pointer = true;
  }
  if (mod == 3) {
    if (rm == kRsp && (out.rex & kRexB) == 0) out.uses_stack_pointer = true;
    return;
  }
  bool wide_displacement = mod == 2;
  if (rm == 4) {
    const std::uint8_t sib = in.byte();
    wide_displacement |= mod == 0 && (sib & 7) == 5;
  } else if (mod == 0 && rm == 5) {
    out.rip_relative = true;
    wide_displacement = true;
  }
  in.immediate(wide_displacement ? 4 : mod == 1 ? 1 : 0);
}

// Bytes of immediate behind the modrm, or -1 where the form has no such thing.
int immediate_size(const Instruction& out, const Prefixes& prefixes, char form) {
  const bool wide = (out.rex & kRexW) != 0;
  const int full = prefixes.operand_size && !wide ? 2 : 4;
  const bool is_test = out.has_modrm && (out.modrm & 0x30) == 0;
  switch (form) {
    case 'i':
    case 'M':
    case 'G':
    case 'j':
      return 1;
    case 'z':
    case 'Z':
    case 'H':
      return full;
    case 'v':
      return wide ? 8 : full;
    case 'o':
      return prefixes.address_size ? 4 : 8;
    case 't':
      return is_test ? (out.opcode == 0xf6 ? 1 : full) : 0;
    case 'w':
      return 2;
    case 'e':
      return 3;
    case 'J':
      return 4;
    default:
      return 0;
  }
}

bool pushes_or_pops(const Instruction& out) {
  const std::uint8_t op = out.opcode;
  if (out.map == 1) return op == 0xa0 || op == 0xa1 || op == 0xa8 || op == 0xa9;
  if (out.map != 0 || out.is_vex) return false;
  const unsigned reg = (out.modrm >> 3) & 7;
  return (op >= 0x50 && op <= 0x5f) || op == 0x68 || op == 0x6a || op == 0x8f || op == 0x9c ||
         op == 0x9d || op == 0xc8 || op == 0xc9 || (op == 0xff && reg == 6);
}

// mov and xchg that name rsp in the opcode itself.
bool opcode_names_rsp(const Instruction& out) {
  return (out.rex & kRexB) == 0 && !out.is_vex &&
         ((out.map == 0 && (out.opcode == 0x94 || out.opcode == 0xbc)) ||
          (out.map == 1 && out.opcode == 0xcc));
}

Flow flow_of_one_byte(const Instruction& out) {
  const unsigned reg = (out.modrm >> 3) & 7;
  switch (out.opcode) {
    case 0xe8:
      return Flow::kCall;
    case 0xe9:
    case 0xeb:
      return Flow::kJump;
    case 0xc2:
    case 0xc3:
    case 0xca:
    case 0xcb:
    case 0xcf:
      return Flow::kReturn;
    case 0xcc:
    case 0xcd:
    case 0xf1:
    case 0xf4:
      return Flow::kStop;
    case 0xc7:  // xbegin: where a transaction that fails goes on
      return out.modrm == 0xf8 ? Flow::kBranch : Flow::kNext;
    case 0xff:
      if (reg == 2 || reg == 3) return Flow::kCallThrough;
      return reg == 4 || reg == 5 ? Flow::kJumpThrough : Flow::kNext;
    default:
      break;
  }
  const bool conditional =
      (out.opcode & 0xf0) == 0x70 || (out.opcode >= 0xe0 && out.opcode <= 0xe3);
  return conditional ? Flow::kBranch : Flow::kNext;
}

Flow flow_of(const Instruction& out) {
  if (out.is_vex) return Flow::kNext;
  if (out.map == 0) return flow_of_one_byte(out);
  if (out.map != 1) return Flow::kNext;
  if ((out.opcode & 0xf0) == 0x80) return Flow::kBranch;
  if (out.opcode == 0x07 || out.opcode == 0x35) return Flow::kReturn;
  return out.opcode == 0x0b || out.opcode == 0xb9 || out.opcode == 0xff ? Flow::kStop : Flow::kNext;
}

}  // namespace

Instruction decode(const std::uint8_t* text, const std::uint8_t* end) {
  if (end - text > static_cast<std::ptrdiff_t>(kMaxInstruction)) end = text + kMaxInstruction;
  Instruction out;
  Cursor in{text, text, end};
  const Prefixes prefixes = read_prefixes(in, out);
  const char form = read_opcode(in, out);
  if (!in.ok || form == 'x' || form == 'p' || form == '>') return {};

  if (kForms.has_modrm[static_cast<unsigned char>(form)]) {
    read_modrm(in, out, kForms.reg_is_register[static_cast<unsigned char>(form)]);
  }
  out.immediate = in.immediate(static_cast<std::size_t>(immediate_size(out, prefixes, form)));
  if (!in.ok) return {};

  out.flow = flow_of(out);
  const bool direct =
      out.flow == Flow::kCall || out.flow == Flow::kJump || out.flow == Flow::kBranch;
  // Intel ignores an operand-size prefix on a near branch and AMD takes 16 bits off the target.
  if (direct && prefixes.operand_size && (out.rex & kRexW) == 0) return {};
  if (direct) out.target = in.at + out.immediate;

  out.is_syscall = out.map == 1 && !out.is_vex && out.opcode == 0x05;
  out.is_endbr = out.map == 1 && !out.is_vex && out.opcode == 0x1e && prefixes.repeat &&
                 (out.modrm == 0xfa || out.modrm == 0xfb);
  out.is_x87 = out.map == 0 && !out.is_vex && out.opcode >= 0xd8 && out.opcode <= 0xdf;
  out.uses_stack_pointer |= pushes_or_pops(out) || opcode_names_rsp(out) ||
                            out.flow == Flow::kReturn || out.flow == Flow::kCall ||
                            out.flow == Flow::kCallThrough;
  out.length = static_cast<std::uint8_t>(in.at - text);
  return out;
}

}  // namespace ramie::patch

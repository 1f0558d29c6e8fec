// What follows each opcode byte, one letter per opcode, sixteen to a row, for decode.cc alone.
//
//   .  nothing            m  modrm                       g  modrm whose reg field is no register
//   i  imm8               M  modrm, imm8                 G  the same with imm8
//   z  imm16/32           Z  modrm, imm16/32             H  the same with imm16/32
//   v  imm16/32/64 (mov)  o  address-sized offset        t  modrm, and an immediate only for test
//   j  rel8               J  rel32                       w  imm16      e  imm16, imm8 (enter)
//   p  prefix             x  not valid in 64-bit mode    >  escape to another map
//
// imm16/32 is 2 bytes behind an operand-size prefix, else 4.
#pragma once

namespace ramie::patch {

inline constexpr char kOneByteMap[] =
    "mmmmizxxmmmmizx>"   // 00
    "mmmmizxxmmmmizxx"   // 10
    "mmmmizpxmmmmizpx"   // 20
    "mmmmizpxmmmmizpx"   // 30
    "pppppppppppppppp"   // 40 REX
    "................"   // 50 push, pop
    "xx>mppppzZiM...."   // 60
    "jjjjjjjjjjjjjjjj"   // 70
    "GHxGmmmmmmmmgmgg"   // 80
    "..........x....."   // 90
    "oooo....iz......"   // a0
    "iiiiiiiivvvvvvvv"   // b0
    "GGw.>>GHe.w..ix."   // c0
    "ggggxxx.gggggggg"   // d0, x87 from d8
    "jjjjiiiiJJxj...."   // e0
    "p.pp..tt......gg";  // f0

inline constexpr char kTwoByteMap[] =
    "ggmmx.....x.xg.M"   // 00
    "mmmmmmmmgggggggg"   // 10
    "mmmmxxxxmmmmmmmm"   // 20
    "......x.>x>xxxxx"   // 30
    "mmmmmmmmmmmmmmmm"   // 40
    "mmmmmmmmmmmmmmmm"   // 50
    "mmmmmmmmmmmmmmmm"   // 60
    "MGGGmmm.mmxxmmmm"   // 70
    "JJJJJJJJJJJJJJJJ"   // 80
    "gggggggggggggggg"   // 90
    "...mMmxx...mMmgm"   // a0
    "mmmmmmmmmmGmmmmm"   // b0
    "mmMmMMMg........"   // c0
    "mmmmmmmmmmmmmmmm"   // d0
    "mmmmmmmmmmmmmmmm"   // e0
    "mmmmmmmmmmmmmmmm";  // f0

static_assert(sizeof(kOneByteMap) == 257 && sizeof(kTwoByteMap) == 257);

// In the VEX and EVEX forms of map 1 only vzeroupper and vzeroall (77) have no modrm.  The shifts
// (71 to 73), shuffles (70, c4 to c6) and compares (c2) keep their imm8.
inline constexpr char vector_form(unsigned map, unsigned char opcode) {
  if (map == 3) return 'M';
  if (map != 1) return 'm';
  if (opcode == 0x77) return '.';
  if ((opcode >= 0x70 && opcode <= 0x73) || opcode == 0xc2) return 'M';
  return opcode >= 0xc4 && opcode <= 0xc6 ? 'M' : 'm';
}

}  // namespace ramie::patch

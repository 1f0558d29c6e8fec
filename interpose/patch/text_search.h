// Searches over a whole text, sixteen bytes at a time: for `syscall` instructions and for relative
// branches.  Both look at bytes, not at instructions, so what they find may be the middle of one.
#pragma once

#include <emmintrin.h>

#include <cstdint>

#include "interpose/patch/elf_object.h"

namespace ramie::patch {

// Calls visit(address) for each address at which classify(sixteen bytes, the sixteen one byte
// further) sets the lane, ascending; visit must not touch the text.  The last `tail` bytes of the
// text are not visited.
template <class Classify, class Visit>
void search_text(TextRange text, std::size_t tail, Classify classify, Visit visit) {
  if (text.size() < tail + 1) return;
  const std::uint8_t* last = text.end - tail;
  const std::uint8_t* at = text.begin;
  for (; at + 17 <= text.end && at < last; at += 16) {
    const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at));
    const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(at + 1));
    auto lanes = static_cast<unsigned>(_mm_movemask_epi8(classify(here, next)));
    for (; lanes != 0; lanes &= lanes - 1) {
      const std::uint8_t* hit = at + __builtin_ctz(lanes);
      if (hit < last) visit(hit);
    }
  }
  // What is left is shorter than a register: looked at in a copy that is padded with nops.
  std::uint8_t rest[32];
  for (std::size_t i = 0; i < sizeof rest; ++i) rest[i] = at + i < text.end ? at[i] : 0x90;
  const __m128i here = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rest));
  const __m128i next = _mm_loadu_si128(reinterpret_cast<const __m128i*>(rest + 1));
  auto lanes = static_cast<unsigned>(_mm_movemask_epi8(classify(here, next)));
  for (; lanes != 0; lanes &= lanes - 1) {
    const std::uint8_t* hit = at + __builtin_ctz(lanes);
    if (hit < last) visit(hit);
  }
}

inline __m128i is_byte(__m128i bytes, std::uint8_t value) {
  return _mm_cmpeq_epi8(bytes, _mm_set1_epi8(static_cast<char>(value)));
}

// visit(address of 0f 05)
template <class Visit>
void for_each_syscall_byte_pair(TextRange text, Visit visit) {
  search_text(
      text, 1,
      [](__m128i here, __m128i next) {
        return _mm_and_si128(is_byte(here, 0x0f), is_byte(next, 0x05));
      },
      visit);
}

// visit(address of the 32-bit displacement) for what may be a call, a jmp or a conditional jump.
template <class Visit>
void for_each_branch_displacement(TextRange text, Visit visit) {
  search_text(
      text, 6,
      [](__m128i here, __m128i next) {
        const __m128i near = _mm_or_si128(is_byte(here, 0xe8), is_byte(here, 0xe9));
        const __m128i high = _mm_and_si128(next, _mm_set1_epi8(static_cast<char>(0xf0)));
        const __m128i conditional = _mm_and_si128(is_byte(here, 0x0f), is_byte(high, 0x80));
        return _mm_or_si128(near, conditional);
      },
      [&](const std::uint8_t* hit) { visit(*hit == 0x0f ? hit + 2 : hit + 1); });
}

}  // namespace ramie::patch

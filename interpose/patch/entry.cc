#include "interpose/patch/entry.h"

#include <cpuid.h>

constinit std::atomic<std::uint8_t> ramie_patch_active{0};
constinit std::uint32_t ramie_patch_state_mask = 0;

namespace ramie::patch {
namespace {

// x87 and SSE, which every area starts with, and the components beyond in which compiled code may
// hold values: AVX, and three for AVX-512.
constexpr std::uint32_t kLegacy = 0x3;
constexpr unsigned kWider[] = {2, 5, 6, 7};

// What entry.S reserves.
constexpr unsigned kAreaSize = 2688;
constexpr unsigned kStateLeaf = 0xd;

}  // namespace

void choose_state_mask() {
  unsigned a = 0;
  unsigned b = 0;
  unsigned c = 0;
  unsigned d = 0;
  if (__get_cpuid(1, &a, &b, &c, &d) == 0 || (c & bit_OSXSAVE) == 0) return;
  std::uint32_t low;
  std::uint32_t high;
  asm volatile("xgetbv" : "=a"(low), "=d"(high) : "c"(0));
  std::uint32_t mask = low & kLegacy;
  for (const unsigned component : kWider) {
    if ((low >> component & 1) == 0) continue;
    unsigned size = 0;
    unsigned offset = 0;
    if (__get_cpuid_count(kStateLeaf, component, &size, &offset, &c, &d) == 0) continue;
    if (offset + size <= kAreaSize) mask |= 1u << component;
  }
  ramie_patch_state_mask = mask;
}

}  // namespace ramie::patch

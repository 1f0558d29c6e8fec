#include "core/call_chain.h"

#include <algorithm>
#include <cstring>

#include "base/code_symbol.h"
#include "base/text.h"

namespace ramie::core {
namespace {

using base::MemoryMap;

constexpr size_t kWords = 512;  // of the stack; deeper callers are not looked for

bool is_own(const MemoryMap& map, const MemoryMap::Region& region) {
  return base::begins_with(map.name(region), "libramie");
}

// e8 with a 32-bit displacement, or ff /2 in its lengths of two to seven bytes.
bool follows_a_call(uintptr_t address) {
  unsigned char before[7];
  if (!base::read_memory(address - sizeof before, before, sizeof before)) {
    return false;
  }
  const unsigned char* end = before + sizeof before;
  if (end[-5] == 0xe8) {
    return true;
  }
  for (int length : {2, 3, 4, 6, 7}) {
    if (end[-length] == 0xff && (end[1 - length] & 0x38) == 0x10) {
      return true;
    }
  }
  return false;
}

// A trampoline's call is followed by `nopl displacement(%rax)`, which leads to the patched site
// (interpose/patch/trampoline.h).  0 if `address` is in none.
uintptr_t patched_site(uintptr_t address) {
  unsigned char bytes[7];
  if (!base::read_memory(address, bytes, sizeof bytes) || bytes[0] != 0x0f || bytes[1] != 0x1f ||
      bytes[2] != 0x80) {
    return 0;
  }
  int32_t displacement;
  memcpy(&displacement, bytes + 3, sizeof displacement);
  return address + static_cast<uintptr_t>(static_cast<intptr_t>(displacement));
}

void add(CallChain& chain, uintptr_t address) {
  if (chain.count < CallChain::kMost) {
    chain.frames[chain.count++] = address;
  }
}

}  // namespace

CallChain find_callers(const MemoryMap& map, uintptr_t pc, uintptr_t sp) {
  CallChain chain;
  const MemoryMap::Region* here = map.find(pc);
  if (here != nullptr && !is_own(map, *here)) {
    add(chain, pc);
  }
  // In pieces that end with a page: what lies above the stack may not be readable.
  constexpr uintptr_t kPiece = 512;
  uintptr_t words[kPiece / sizeof(uintptr_t)];
  uintptr_t at = sp & ~(sizeof(uintptr_t) - 1);
  uintptr_t end = at + kWords * sizeof(uintptr_t);
  while (at < end && chain.count < CallChain::kMost) {
    size_t size = std::min(end, (at & ~(kPiece - 1)) + kPiece) - at;
    if (!base::read_memory(at, words, size)) {
      break;
    }
    for (size_t i = 0; i < size / sizeof words[0]; ++i) {
      const MemoryMap::Region* region = map.find(words[i]);
      if (region == nullptr || is_own(map, *region)) {
        continue;
      }
      uintptr_t site = region->name_size == 0 ? patched_site(words[i]) : 0;
      if (site != 0) {
        add(chain, site);
      } else if (follows_a_call(words[i])) {
        add(chain, words[i]);
      }
    }
    at += size;
  }
  return chain;
}

void describe_code(base::Line<512>& line, const MemoryMap& map, uintptr_t address) {
  const MemoryMap::Region* region = map.find(address);
  if (region == nullptr || region->name_size == 0) {
    line << "[made at run time] " << base::Hex{address};
    return;
  }
  line << map.name(*region) << "+" << base::Hex{address - region->object};
  base::CodeSymbol symbol = base::find_code_symbol(region->object, address);
  if (symbol.name[0] != '\0') {
    line << " (" << symbol.name << "+" << base::Hex{symbol.offset} << ")";
  }
}

}  // namespace ramie::core

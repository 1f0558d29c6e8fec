// The last proof about a site: that nothing outside of its own function reaches into it.  Parts of
// a function that the compiler has split off (.cold) branch back into its middle, and assembler
// code may do anything.
#include <algorithm>
#include <cstring>

#include "interpose/patch/scan.h"
#include "interpose/patch/text_search.h"

namespace ramie::patch {
namespace {

// A branch of two bytes reaches 128 bytes back from its end.
constexpr std::ptrdiff_t kShortReach = 130;

// One bit for each 64 bytes of text: does a site's inside lie there?  Nearly every branch is
// dismissed by it.
class Lines {
 public:
  explicit Lines(TextRange text) : text_(text), words_(text.size() / (64 * 64) + 2) {}

  [[nodiscard]] bool usable() const { return words_.capacity() != 0; }

  void mark(const std::uint8_t* address) { words_[word(address)] |= bit(address); }

  [[nodiscard]] bool marked(const std::uint8_t* address) const {
    return text_.contains(address) && (words_[word(address)] & bit(address)) != 0;
  }

 private:
  [[nodiscard]] std::size_t line(const std::uint8_t* address) const {
    return static_cast<std::size_t>(address - text_.begin) / 64;
  }
  [[nodiscard]] std::size_t word(const std::uint8_t* address) const { return line(address) / 64; }
  [[nodiscard]] std::uint64_t bit(const std::uint8_t* address) const {
    return std::uint64_t{1} << (line(address) % 64);
  }

  TextRange text_;
  ScratchArray<std::uint64_t> words_;
};

// The site that has `address` behind its first byte and inside of what is to be replaced.
Site* site_around(std::span<Site> sites, const std::uint8_t* address) {
  auto after = std::partition_point(sites.begin(), sites.end(), [&](const Site& site) {
    return site.syscall < address + kMaxInstruction * 4;
  });
  // Sites are in order of their syscall instruction; a few back are all that can reach this far.
  while (after != sites.begin()) {
    --after;
    if (after->syscall + kMaxInstruction * 4 < address) return nullptr;
    if (after->verdict != Verdict::kPatch) continue;
    if (address > after->begin && address < after->begin + after->length) return &*after;
  }
  return nullptr;
}

// Whether a branch to `target` really ends at `end`, rather than something inside of another
// instruction that looks like one.  Text that cannot be decoded counts as a branch.
bool is_branch(const ElfObject& object, const std::uint8_t* end, const std::uint8_t* target) {
  const TextRange function = object.function_containing(end - 1);
  if (function.begin == nullptr) return true;
  for (const std::uint8_t* at = function.begin; at < end;) {
    const Instruction instruction = decode(at, function.end);
    if (instruction.length == 0) return true;
    at += instruction.length;
    if (at == end) return instruction.target == target;
  }
  return false;
}

bool may_be_short_branch(std::uint8_t opcode) {
  return (opcode & 0xf0) == 0x70 || opcode == 0xeb || (opcode >= 0xe0 && opcode <= 0xe3);
}

// Looks at all bytes, outside of the site's own function, from which a short branch could reach
// into the site.
bool is_entered_by_short_branch(const ElfObject& object, const Site& site) {
  const TextRange function = object.function_containing(site.syscall);
  const TextRange text = object.text();
  const std::uint8_t* low = std::max(text.begin, site.begin - kShortReach);
  const std::uint8_t* high = std::min(text.end, site.begin + site.length + kShortReach);
  for (const std::uint8_t* at = low; at + 2 <= high; ++at) {
    if (at == function.begin) at = function.end;
    if (at + 2 > high || !may_be_short_branch(*at)) continue;
    const std::uint8_t* target = at + 2 + static_cast<std::int8_t>(at[1]);
    const bool inside = target > site.begin && target < site.begin + site.length;
    if (inside && is_branch(object, at + 2, target)) return true;
  }
  return false;
}

void refuse(Site* site) {
  if (site == nullptr) return;
  site->verdict = Verdict::kRefuse;
  site->refusal = Refusal::kBranchInside;
}

}  // namespace

bool refuse_entered_from_elsewhere(const ElfObject& object, std::span<Site> sites) {
  Lines lines(object.text());
  if (!lines.usable()) return false;
  for (Site& site : sites) {
    if (site.verdict != Verdict::kPatch) continue;
    if (is_entered_by_short_branch(object, site)) {
      refuse(&site);
      continue;
    }
    lines.mark(site.begin);
    lines.mark(site.begin + site.length - 1);
  }
  for_each_branch_displacement(object.text(), [&](const std::uint8_t* at) {
    std::int32_t displacement;
    std::memcpy(&displacement, at, sizeof displacement);
    const std::uint8_t* target = at + 4 + displacement;
    if (!lines.marked(target)) return;
    Site* site = site_around(sites, target);
    if (site != nullptr && is_branch(object, at + 4, target)) refuse(site);
  });
  object.for_each_symbol([&](const std::uint8_t* address) {
    if (lines.marked(address)) refuse(site_around(sites, address));
  });
  return true;
}

}  // namespace ramie::patch

#include "interpose/patch/control_flow.h"

#include <algorithm>
#include <cstring>

namespace ramie::patch {
namespace {

// The largest function of libc has some 6,000.  A function that does not fit is not patched.
// Tables of 2 MB would get huge pages, which cost more to clear than the whole scan.
constexpr std::size_t kMaxInstructions = 1 << 15;
constexpr std::size_t kMaxTableEntries = 1 << 12;

bool is_rip_relative_lea(const Instruction& instruction) {
  return instruction.rip_relative && instruction.map == 0 && !instruction.is_vex &&
         instruction.opcode == 0x8d;
}

// A jump through a pointer at a fixed address leaves the function; only computed jumps use tables.
bool is_computed_jump(const Instruction& instruction) {
  return instruction.flow == Flow::kJumpThrough && !instruction.rip_relative;
}

// The displacement is the last thing in a lea.
const std::uint8_t* lea_address(const std::uint8_t* at, const Instruction& instruction) {
  const std::uint8_t* next = at + instruction.length;
  std::int32_t displacement;
  std::memcpy(&displacement, next - sizeof displacement, sizeof displacement);
  return next + displacement;
}

}  // namespace

ControlFlow::ControlFlow()
    : starts_(kMaxInstructions), targets_(kMaxInstructions), addresses_taken_(kMaxInstructions) {}

void ControlFlow::clear() {
  starts_.clear();
  targets_.clear();
  addresses_taken_.clear();
  uses_x87_ = false;
  uses_vex_ = false;
}

bool ControlFlow::note_target(const Instruction& instruction) {
  return instruction.target == nullptr || targets_.push(instruction.target);
}

bool ControlFlow::read(TextRange range, const ElfObject* object) {
  clear();
  bool computed_jump = false;
  for (const std::uint8_t* at = range.begin; at < range.end;) {
    const Instruction instruction = decode(at, range.end);
    if (instruction.length == 0) return false;
    if (!starts_.push(at) || !note_target(instruction)) return false;
    if (is_rip_relative_lea(instruction) && !addresses_taken_.push(lea_address(at, instruction))) {
      return false;
    }
    computed_jump |= is_computed_jump(instruction);
    uses_x87_ |= instruction.is_x87;
    uses_vex_ |= instruction.is_vex;
    at += instruction.length;
  }
  return !computed_jump || object == nullptr || add_jump_tables(range, *object);
}

// A table holds 32-bit offsets from its own start, and ends before the first that leaves the text.
bool ControlFlow::add_jump_tables(TextRange range, const ElfObject& object) {
  for (const std::uint8_t* table : addresses_taken_) {
    if (object.text().contains(table)) continue;
    for (std::size_t i = 0; i < kMaxTableEntries; ++i) {
      const std::uint8_t* entry = table + i * sizeof(std::int32_t);
      std::int32_t offset;
      if (!object.is_constant(entry, sizeof offset)) break;
      std::memcpy(&offset, entry, sizeof offset);
      const std::uint8_t* target = table + offset;
      if (!object.text().contains(target)) break;
      if (range.contains(target) && !targets_.push(target)) return false;
    }
  }
  return true;
}

std::size_t ControlFlow::index_of(const std::uint8_t* address) const {
  return static_cast<std::size_t>(std::lower_bound(starts_.begin(), starts_.end(), address) -
                                  starts_.begin());
}

bool ControlFlow::is_start(const std::uint8_t* address) const {
  const std::size_t index = index_of(address);
  return index < starts_.size() && starts_[index] == address;
}

const std::uint8_t* ControlFlow::previous(const std::uint8_t* address) const {
  const std::size_t index = index_of(address);
  return index == 0 || index > starts_.size() ? nullptr : starts_[index - 1];
}

bool ControlFlow::is_target(const std::uint8_t* address) const {
  return std::find(targets_.begin(), targets_.end(), address) != targets_.end();
}

bool ControlFlow::lands_inside(const std::uint8_t* begin, const std::uint8_t* end) const {
  return std::any_of(targets_.begin(), targets_.end(),
                     [&](const std::uint8_t* target) { return target > begin && target < end; });
}

}  // namespace ramie::patch

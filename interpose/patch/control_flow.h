// Where instructions start in a stretch of text, and where branches can land.
//
// A site may be rewritten only if no branch reaches into the bytes that are replaced.  Targets come
// from relative branches and, for functions that jump through a table, from the tables: offsets in
// read-only data that the function takes the address of.  A target too many costs a site, a target
// too few would cost the process, so every doubt adds one.
#pragma once

#include <cstddef>
#include <cstdint>

#include "interpose/patch/decode.h"
#include "interpose/patch/elf_object.h"
#include "interpose/patch/scratch_array.h"

namespace ramie::patch {

class ControlFlow {
 public:
  ControlFlow();

  // Decodes `range` from its first byte on and records instructions and targets, in place of what
  // was recorded before.  `object` is where jump tables are looked for; null means that there are
  // none. False if some bytes are no instruction.
  [[nodiscard]] bool read(TextRange range, const ElfObject* object);

  [[nodiscard]] bool is_start(const std::uint8_t* address) const;
  // The instruction that ends where `address` starts, null at the beginning.
  [[nodiscard]] const std::uint8_t* previous(const std::uint8_t* address) const;
  [[nodiscard]] bool is_target(const std::uint8_t* address) const;
  // True if a branch lands behind `begin` and before `end`.
  [[nodiscard]] bool lands_inside(const std::uint8_t* begin, const std::uint8_t* end) const;

  // Whether any instruction uses the x87 stack, or a vector encoding wider than xmm.
  [[nodiscard]] bool uses_x87() const { return uses_x87_; }
  [[nodiscard]] bool uses_vex() const { return uses_vex_; }

 private:
  void clear();
  [[nodiscard]] bool note_target(const Instruction& instruction);
  [[nodiscard]] bool add_jump_tables(TextRange range, const ElfObject& object);
  [[nodiscard]] std::size_t index_of(const std::uint8_t* address) const;

  ScratchArray<const std::uint8_t*> starts_;
  ScratchArray<const std::uint8_t*> targets_;
  ScratchArray<const std::uint8_t*> addresses_taken_;
  bool uses_x87_ = false;
  bool uses_vex_ = false;
};

}  // namespace ramie::patch

// The code that a patched site jumps to.
//
// A trampoline does what the replaced bytes did, with a call of an entry (entry.h) in place of the
// `syscall` instruction, and goes back behind them:
//
//     [instructions from before the syscall]
//     lea   -128(%rsp), %rsp
//     call  entry                // or *entry(%rip), where that is out of reach
//     nopl  site(%rax)           // for the unwinder, see entry.S
//     [jmp 1f; syscall; 1:]      // where the entry may have to send the call back
//     [instructions from behind the syscall]
//     jmp   site + length
//
// They live in one area per object, within the reach of a 32-bit jump from all of its text: written
// first, then made executable and read-only, never both writable and executable.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "interpose/patch/elf_object.h"
#include "interpose/patch/site.h"

namespace ramie::patch {

// Where a thread that stood at `pc` before the sites were turned goes on: in a trampoline, if it
// was inside of the bytes that were replaced.
[[nodiscard]] std::uintptr_t moved(std::uintptr_t pc, std::span<const Site> sites);

class TrampolineArea {
 public:
  // Maps an area near `text` for all sites that are to be patched.  Returns 0 or -errno: -ENOMEM if
  // there is no free address range near enough.
  [[nodiscard]] long map(TextRange text, std::span<const Site> sites);

  // Writes the trampoline of one of these sites, reading the site's bytes, which must still be the
  // original ones.  Returns where it starts.
  [[nodiscard]] const std::uint8_t* emit(const Site& site);

  // Makes the area executable and read-only.  Returns 0 or -errno.
  [[nodiscard]] long seal();

  // Undoes map(); only while nothing jumps here.
  void unmap();

  [[nodiscard]] std::size_t used() const { return static_cast<std::size_t>(at_ - begin_); }

 private:
  void put(const void* bytes, std::size_t size);
  void put_call(std::size_t entry);
  void put_relative(const std::uint8_t* target);

  std::uint8_t* begin_ = nullptr;
  std::uint8_t* at_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace ramie::patch

// What the patcher knows about one `syscall` instruction.
#pragma once

#include <cstdint>

namespace ramie::patch {

// What is done with a site.
enum class Verdict : std::uint8_t {
  kPatch,    // becomes a jump to a trampoline
  kForward,  // its number is known and nobody wants it: it stays as it is
  kRefuse,   // cannot be proven safe, or must never be turned; see Refusal
};

// Which of the site's neighbours make room for the jump.
enum class Shape : std::uint8_t {
  kLoad,       // mov $number,%eax; syscall
  kFollowed,   // syscall; movable instructions
  kPreceded,   // movable instructions; syscall
  kSurrounded  // some on either side
};

enum class Refusal : std::uint8_t {
  kNone,
  kNoFunction,     // no exception table says which function it is in
  kUndecodable,    // the function has bytes that the decoder does not know
  kImmovable,      // no room: the neighbours branch, use rip or rsp, or the function ends
  kBranchInside,   // a branch may land in the bytes to be replaced
  kOwnStackFrame,  // rt_sigreturn, vfork, clone: must be entered with the caller's own stack
};

// How sure the number is.
enum class NumberSource : std::uint8_t {
  kKnown,    // every way to the site loads it
  kLikely,   // the nearest load in the text, but other ways lead here
  kRunTime,  // only rax knows
};

struct Site {
  static constexpr int kNoNumber = -1;

  const std::uint8_t* syscall = nullptr;  // the instruction itself
  const std::uint8_t* begin = nullptr;    // first replaced byte
  const std::uint8_t* trampoline = nullptr;
  int number = kNoNumber;
  NumberSource number_source = NumberSource::kRunTime;
  std::uint8_t length = 0;  // replaced bytes: before + 2 + after
  std::uint8_t before = 0;  // bytes that move ahead of the call
  std::uint8_t after = 0;   // bytes that move behind it
  Verdict verdict = Verdict::kRefuse;
  Shape shape = Shape::kLoad;
  Refusal refusal = Refusal::kNone;
  // The function may hold x87 or AVX values across the call: more than xmm must be saved.
  bool wide_state = false;
};

inline constexpr std::uint8_t kSyscallLength = 2;
inline constexpr std::uint8_t kJumpLength = 5;

// One line for people, such as "a branch may land inside".
[[nodiscard]] constexpr const char* describe(Refusal refusal) {
  switch (refusal) {
    case Refusal::kNone:
      return "not refused";
    case Refusal::kNoFunction:
      return "no function is known to hold it";
    case Refusal::kUndecodable:
      return "its function cannot be decoded";
    case Refusal::kImmovable:
      return "no room for a jump: its neighbours cannot be moved";
    case Refusal::kBranchInside:
      return "a branch may land inside";
    case Refusal::kOwnStackFrame:
      return "needs the caller's own stack frame";
  }
  return "";
}

}  // namespace ramie::patch

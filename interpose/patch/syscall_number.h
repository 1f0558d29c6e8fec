// Which system call a site makes, read from the code before it.
#pragma once

#include "interpose/patch/control_flow.h"
#include "interpose/patch/site.h"

namespace ramie::patch {

struct SyscallNumber {
  int value = Site::kNoNumber;
  NumberSource source = NumberSource::kRunTime;
};

// Follows eax, and the registers that it is copied from, backwards from the instruction at
// `syscall` to the constant that was loaded.  Crossing a point where branches join makes the answer
// kLikely.
[[nodiscard]] SyscallNumber find_number(const ControlFlow& flow, const std::uint8_t* syscall);

}  // namespace ramie::patch

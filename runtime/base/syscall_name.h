// The name of a system call, for reports.
#pragma once

namespace ramie::base {

// Null for a number that the kernel's headers did not have when this was built.
[[nodiscard]] const char* syscall_name(long number);

}  // namespace ramie::base

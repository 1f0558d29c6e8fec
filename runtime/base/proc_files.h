// The small files by which the kernel tells about processes (man 5 proc), and directories of them.
// Each is open for a moment, on the lowest free descriptor.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ramie::base {

// The beginning of the file, as far as the buffer goes; empty when it can't be read.
[[nodiscard]] std::string_view read_file(const char* path, char* buffer, size_t size);

// A set of signals as such a file has it: sixteen digits behind `label`.  False if it isn't there.
[[nodiscard]] bool find_signals(std::string_view text, std::string_view label, uint64_t& signals);

// Calls `visit` with each number that names an entry of the directory, until it says false.  False
// if it does, or if the directory can't be read.
using VisitNumber = bool (*)(int number, void* argument);
[[nodiscard]] bool for_each_number(const char* directory, VisitNumber visit, void* argument);

}  // namespace ramie::base

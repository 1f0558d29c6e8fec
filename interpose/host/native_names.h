// What RAMIE_NATIVE names: programs, the libraries in which threads begin, and threads.
#pragma once

#include <string_view>

namespace ramie::host {

// The program's file, without folders.
[[nodiscard]] bool is_native_program(std::string_view file);

// Whether it names any library at all.
[[nodiscard]] bool has_native_libraries();

// A library's file, without folders: "libx.so" names libx.so.1 too.
[[nodiscard]] bool is_native_library(std::string_view file);
[[nodiscard]] bool is_library(std::string_view name, std::string_view file);

// A thread's name, as the kernel would keep it: at most 15 bytes.
[[nodiscard]] bool is_native_thread_name(std::string_view name);

// Whether `text` is as `pattern` says, in which * stands for any text.
[[nodiscard]] bool matches(std::string_view pattern, std::string_view text);

}  // namespace ramie::host

// Where in the source a fiber was spawned, for programs that want their fibers to know:
//
//     ramie::spawn({.name = "parser", .site = ramie::spawn_site::here()}, parse, text);
//
// Handles, hooks and the fiber itself tell it.  It costs an allocation for the fiber.
#pragma once

namespace ramie {

// A place in the source.  The strings live as long as the program.
struct spawn_site {
  const char* file = "";
  const char* function = "";
  unsigned line = 0;  // 0: nobody has said

  // The place of the call.  (std::source_location is not there in every supported compiler.)
  [[nodiscard]] static constexpr spawn_site here(const char* file = __builtin_FILE(),
                                                 const char* function = __builtin_FUNCTION(),
                                                 unsigned line = __builtin_LINE()) noexcept {
    return {file, function, line};
  }
};

}  // namespace ramie

// Reads from an executable what decides whether it can be preloaded.
#pragma once

#include <elf.h>

#include <string>
#include <string_view>

namespace ramie::cli {

class ElfFile {
 public:
  // Reads the headers from `fd`.  Returns why this is no program for us, as the rest of a sentence
  // that begins with the file's name; empty if it is one.
  [[nodiscard]] std::string read(int fd);

  // The path of its dynamic loader; empty for a static program.
  [[nodiscard]] const std::string& interpreter() const { return interpreter_; }

  // Made by the Go compiler (by its section names, or its build-id note if those are stripped).
  [[nodiscard]] bool is_go() const { return is_go_; }

 private:
  [[nodiscard]] bool read_segments(int fd, const Elf64_Ehdr& header);
  [[nodiscard]] bool read_sections(int fd, const Elf64_Ehdr& header);
  void look_at_notes(std::string_view notes);

  std::string interpreter_;
  bool is_go_ = false;
};

}  // namespace ramie::cli

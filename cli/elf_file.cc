#include "cli/elf_file.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <vector>

namespace ramie::cli {
namespace {

// `count` elements at `offset`; false if the file is shorter or the number is absurd.
template <class T>
bool read_at(int fd, uint64_t offset, size_t count, std::vector<T>& out) {
  constexpr size_t kSane = 4UL << 20;
  if (count > kSane / sizeof(T) || offset > INT64_MAX) {
    return false;
  }
  out.resize(count);
  auto size = static_cast<ssize_t>(count * sizeof(T));
  return pread(fd, out.data(), count * sizeof(T), static_cast<off_t>(offset)) == size;
}

std::string_view text_of(const std::vector<char>& bytes, size_t offset = 0) {
  if (offset >= bytes.size()) {
    return {};
  }
  return {bytes.data() + offset, strnlen(bytes.data() + offset, bytes.size() - offset)};
}

}  // namespace

std::string ElfFile::read(int fd) {
  std::vector<Elf64_Ehdr> headers;
  constexpr char kDamaged[] = " is a damaged ELF file";
  // The identification is the same in 32-bit files, whose whole header is shorter than ours.
  std::vector<unsigned char> ident;
  if (!read_at(fd, 0, EI_NIDENT, ident)) {
    return kDamaged;
  }
  if (ident[EI_CLASS] != ELFCLASS64) {
    return " is a 32-bit program; Ramie is for 64-bit ones on x86-64 only";
  }
  if (ident[EI_DATA] != ELFDATA2LSB || !read_at(fd, 0, 1, headers)) {
    return ident[EI_DATA] == ELFDATA2MSB ? " is built for another CPU; Ramie is for x86-64 only"
                                         : kDamaged;
  }
  const Elf64_Ehdr& header = headers.front();
  if (header.e_machine != EM_X86_64) {
    return " is built for another CPU (ELF machine " + std::to_string(header.e_machine) +
           "); Ramie is for x86-64 only";
  }
  if (header.e_type != ET_EXEC && header.e_type != ET_DYN) {
    return " is an ELF file, but not a program";
  }
  if (!read_segments(fd, header)) {
    return kDamaged;
  }
  // A program runs without section headers; then the notes have to do.
  (void)read_sections(fd, header);
  return {};
}

bool ElfFile::read_segments(int fd, const Elf64_Ehdr& header) {
  std::vector<Elf64_Phdr> segments;
  if (header.e_phentsize != sizeof(Elf64_Phdr) ||
      !read_at(fd, header.e_phoff, header.e_phnum, segments)) {
    return false;
  }
  for (const Elf64_Phdr& segment : segments) {
    std::vector<char> content;
    if (segment.p_type != PT_INTERP && segment.p_type != PT_NOTE) {
      continue;
    }
    if (!read_at(fd, segment.p_offset, segment.p_filesz, content)) {
      return false;
    }
    if (segment.p_type == PT_INTERP) {
      interpreter_ = text_of(content);
    } else {
      look_at_notes({content.data(), content.size()});
    }
  }
  return true;
}

bool ElfFile::read_sections(int fd, const Elf64_Ehdr& header) {
  std::vector<Elf64_Shdr> sections;
  std::vector<char> names;
  if (header.e_shentsize != sizeof(Elf64_Shdr) || header.e_shstrndx >= header.e_shnum ||
      !read_at(fd, header.e_shoff, header.e_shnum, sections)) {
    return false;
  }
  const Elf64_Shdr& strings = sections[header.e_shstrndx];
  if (!read_at(fd, strings.sh_offset, strings.sh_size, names)) {
    return false;
  }
  for (const Elf64_Shdr& section : sections) {
    std::string_view name = text_of(names, section.sh_name);
    is_go_ = is_go_ || name == ".go.buildinfo" || name == ".note.go.buildid";
  }
  return true;
}

// A note is (name size, content size, type), name, content, each padded to 4 bytes.
void ElfFile::look_at_notes(std::string_view notes) {
  Elf64_Nhdr note;
  auto padded = [](uint64_t size) { return (size + 3) & ~uint64_t{3}; };
  while (notes.size() >= sizeof note) {
    memcpy(&note, notes.data(), sizeof note);
    notes.remove_prefix(sizeof note);
    uint64_t size = padded(note.n_namesz) + padded(note.n_descsz);
    if (size > notes.size()) {
      return;
    }
    is_go_ = is_go_ || notes.substr(0, note.n_namesz) == std::string_view("Go\0\0", 4);
    notes.remove_prefix(size);
  }
}

}  // namespace ramie::cli

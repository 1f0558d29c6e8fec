#include "cli/elf_target.h"

#include <elf.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <string>

namespace ramie::cli {
namespace {

using std::string;
namespace fs = std::filesystem;

// A folder for one test, gone with it.
class ElfTarget : public testing::Test {
 protected:
  void SetUp() override {
    string name = fs::temp_directory_path() / "ramie-target-XXXXXX";
    ASSERT_NE(mkdtemp(name.data()), nullptr);
    folder_ = name;
  }
  void TearDown() override { fs::remove_all(folder_); }

  string write(const string& name, const string& content, mode_t mode = 0755) {
    string file = folder_ / name;
    std::ofstream(file) << content;
    chmod(file.c_str(), mode);
    return file;
  }

  fs::path folder_;
};

// What a fabricated program is like; the default is an ordinary one.
struct Shape {
  unsigned char bits = ELFCLASS64;
  uint16_t machine = EM_X86_64;
  uint16_t type = ET_DYN;
  string loader = "/lib64/ld-linux-x86-64.so.2";  // empty: static
  string note = "";                               // the owner of a note
  string section = "";                            // the name of a section
};

template <class T>
string bytes_of(const T& object) {
  return {reinterpret_cast<const char*>(&object), sizeof object};
}

// Header, two program headers, the loader's path, a note, the section names, two section headers.
string elf(const Shape& shape) {
  Elf64_Ehdr header{};
  memcpy(header.e_ident, ELFMAG, SELFMAG);
  header.e_ident[EI_CLASS] = shape.bits;
  header.e_ident[EI_DATA] = ELFDATA2LSB;
  header.e_type = shape.type;
  header.e_machine = shape.machine;
  header.e_phoff = sizeof header;
  header.e_phentsize = sizeof(Elf64_Phdr);
  header.e_phnum = 2;
  string loader = shape.loader + '\0';
  string owner = shape.note.empty() ? "GNU" : shape.note;
  owner.resize(4);
  string note = bytes_of(Elf64_Nhdr{4, 4, 4}) + owner + "abcd";
  string names = '\0' + shape.section + '\0';

  size_t data = sizeof header + 2 * sizeof(Elf64_Phdr);
  Elf64_Phdr interpreter{};
  interpreter.p_type = shape.loader.empty() ? PT_LOAD : PT_INTERP;
  interpreter.p_offset = data;
  interpreter.p_filesz = loader.size();
  Elf64_Phdr notes{};
  notes.p_type = PT_NOTE;
  notes.p_offset = data + loader.size();
  notes.p_filesz = note.size();
  if (!shape.section.empty()) {
    header.e_shoff = data + loader.size() + note.size() + names.size();
    header.e_shentsize = sizeof(Elf64_Shdr);
    header.e_shnum = 2;
    header.e_shstrndx = 0;
  }
  Elf64_Shdr strings{};
  strings.sh_offset = data + loader.size() + note.size();
  strings.sh_size = names.size();
  Elf64_Shdr other{};
  other.sh_name = 1;
  return bytes_of(header) + bytes_of(interpreter) + bytes_of(notes) + loader + note + names +
         bytes_of(strings) + bytes_of(other);
}

#define EXPECT_REFUSED(file, status, part)                                  \
  do {                                                                      \
    Verdict verdict = check_target(file);                                   \
    EXPECT_EQ(verdict.exit_status, status);                                 \
    EXPECT_NE(verdict.problem.find(part), string::npos) << verdict.problem; \
    EXPECT_EQ(verdict.problem.find('\n'), string::npos);                    \
  } while (false)

TEST_F(ElfTarget, AnOrdinaryProgramIsGood) {
  EXPECT_TRUE(check_target("/bin/ls").good());
  EXPECT_TRUE(check_target("/proc/self/exe").good());
  EXPECT_TRUE(check_target(write("fabricated", elf({}))).good());
  EXPECT_TRUE(check_target(write("sections", elf({.section = ".text"}))).good());
}

TEST_F(ElfTarget, AMissingFileIs127) {
  EXPECT_REFUSED(folder_ / "none", 127, "No such file");
  EXPECT_REFUSED("/bin/ls/none", 127, "Not a directory");
}

TEST_F(ElfTarget, WhatCannotBeExecutedIs126) {
  EXPECT_REFUSED(write("plain", elf({}), 0644), 126, "is not executable");
  EXPECT_REFUSED(folder_, 126, "is a directory");
}

TEST_F(ElfTarget, AStaticProgramIs126) {
  EXPECT_REFUSED(write("static", elf({.type = ET_EXEC, .loader = ""})), 126, "statically linked");
  EXPECT_REFUSED(write("static-pie", elf({.loader = ""})), 126, "statically linked");
}

TEST_F(ElfTarget, AGoProgramIs126) {
  EXPECT_REFUSED(write("go", elf({.loader = "", .section = ".go.buildinfo"})), 126,
                 "is a Go program: it makes");
  EXPECT_REFUSED(write("cgo", elf({.section = ".note.go.buildid"})), 126, "(cgo)");
  EXPECT_REFUSED(write("stripped", elf({.loader = "", .note = "Go"})), 126, "is a Go program");
}

TEST_F(ElfTarget, AnotherLibcIs126) {
  EXPECT_REFUSED(write("musl", elf({.loader = "/lib/ld-musl-x86_64.so.1"})), 126, "musl");
  EXPECT_REFUSED(write("bionic", elf({.loader = "/system/bin/linker64"})), 126,
                 "not linked with glibc");
}

TEST_F(ElfTarget, AnotherArchitectureIs126) {
  EXPECT_REFUSED(write("arm", elf({.machine = EM_AARCH64})), 126, "another CPU");
  EXPECT_REFUSED(write("i386", elf({.bits = ELFCLASS32, .machine = EM_386})), 126, "32-bit");
}

TEST_F(ElfTarget, ADamagedFileIs126) {
  EXPECT_REFUSED(write("short", "\177ELF"), 126, "damaged");
  EXPECT_REFUSED(write("cut", elf({}).substr(0, 80)), 126, "damaged");
  EXPECT_REFUSED(write("object", elf({.type = ET_REL})), 126, "not a program");
}

TEST_F(ElfTarget, OtherPrivilegesAre126) {
  EXPECT_REFUSED(write("setuid", elf({}), 04755), 126, "setuid");
  EXPECT_REFUSED(write("setgid", elf({}), 02755), 126, "setuid");
}

TEST_F(ElfTarget, AScriptIsWhatItsInterpreterIs) {
  EXPECT_TRUE(check_target(write("sh", "#!/bin/sh\n")).good());
  EXPECT_TRUE(check_target(write("blank", "#! /bin/sh -e\n")).good());
  EXPECT_TRUE(check_target(write("env", "#!/usr/bin/env sh\n")).good());
  EXPECT_TRUE(check_target(write("options", "#!/usr/bin/env -S A=b sh -e\n")).good());
  EXPECT_TRUE(check_target(write("unnamed", "echo hello\n")).good());
  string interpreter = write("static", elf({.loader = ""}));
  EXPECT_REFUSED(write("by-static", "#!" + interpreter + "\n"), 126, "statically linked");
  EXPECT_REFUSED(write("by-none", "#!/no/such/interpreter\n"), 126, "No such file");
  EXPECT_REFUSED(write("by-unknown", "#!/usr/bin/env no-such-program\n"), 126, "in PATH");
  EXPECT_REFUSED(write("itself", "#!" + string(folder_ / "itself") + "\n"), 126, "too deep");
}

}  // namespace
}  // namespace ramie::cli

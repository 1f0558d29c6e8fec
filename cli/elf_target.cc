#include "cli/elf_target.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <string_view>

#include "cli/elf_file.h"
#include "cli/find_program.h"

namespace ramie::cli {
namespace {

using std::string;
using std::string_view;

constexpr int kMaxScripts = 5;  // as deep as the kernel follows them

string_view base_name(string_view path) { return path.substr(path.rfind('/') + 1); }

Verdict check_elf(const string& file, int fd) {
  ElfFile elf;
  if (string problem = elf.read(fd); !problem.empty()) {
    return Verdict::cannot_run(file + problem);
  }
  // Go first: a Go program is usually static too, but that isn't what its user has to know.
  if (elf.is_go()) {
    return Verdict::cannot_run(
        file + " is a Go program: " +
        (elf.interpreter().empty() ? "it" : "though it loads libc (cgo), it") +
        " makes its system calls itself and has green threads already; run it without ramie");
  }
  if (elf.interpreter().empty()) {
    return Verdict::cannot_run(file +
                               " is statically linked and loads no library, so not Ramie either; "
                               "use a dynamically linked build of it");
  }
  string_view loader = base_name(elf.interpreter());
  if (loader.starts_with("ld-musl")) {
    return Verdict::cannot_run(file +
                               " is linked with musl; Ramie works on glibc: use a glibc build");
  }
  if (!loader.starts_with("ld-linux-x86-64.so")) {
    return Verdict::cannot_run(file + " is not linked with glibc (its loader is " +
                               elf.interpreter() + "); use a glibc build");
  }
  return {};
}

// "#!interpreter [argument]", as the kernel reads it.  For env(1), what env will run counts as
// well.
Verdict check_script(const string& file, string_view line, int depth);

Verdict check_file(const string& file, int depth) {
  struct stat status;
  if (stat(file.c_str(), &status) != 0) {
    int error = errno;
    bool absent = error == ENOENT || error == ENOTDIR;
    return {absent ? kNotFound : kCannotRun, file + ": " + strerror(error)};
  }
  if (!S_ISREG(status.st_mode)) {
    return Verdict::cannot_run(
        file + (S_ISDIR(status.st_mode) ? " is a directory, not a program" : " is not a program"));
  }
  if (access(file.c_str(), X_OK) != 0) {
    return Verdict::cannot_run(file + " is not executable; see chmod +x");
  }
  bool privileged = (status.st_mode & (S_ISUID | S_ISGID)) != 0 ||
                    getxattr(file.c_str(), "security.capability", nullptr, 0) > 0;
  int fd = open(file.c_str(), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return Verdict::cannot_run(file + " can't be read, so not checked: " + strerror(errno));
  }
  char start[256] = {};
  ssize_t size = pread(fd, start, sizeof start - 1, 0);
  string_view head(start, size > 0 ? static_cast<size_t>(size) : 0);
  Verdict verdict;
  if (head.starts_with("#!")) {
    // The kernel ignores a script's own set-user-ID bit.
    verdict = check_script(file, head.substr(2, head.find('\n') - 2), depth);
  } else if (privileged) {
    verdict = Verdict::cannot_run(
        file +
        " runs with other privileges than its caller's (setuid, setgid or capabilities), "
        "and then the loader ignores preloads; use a copy without them");
  } else if (head.starts_with("\177ELF")) {
    verdict = check_elf(file, fd);
  }
  // Anything else is for the kernel (binfmt_misc) or for sh to judge, as with env(1).
  close(fd);
  return verdict;
}

string_view next_word(string_view& line) {
  size_t start = line.find_first_not_of(" \t");
  line.remove_prefix(start == string_view::npos ? line.size() : start);
  string_view word = line.substr(0, line.find_first_of(" \t\r"));
  line.remove_prefix(word.size());
  return word;
}

Verdict check_script(const string& file, string_view line, int depth) {
  if (depth == kMaxScripts) {
    return Verdict::cannot_run(file + ": its interpreter is a script of a script, too deep");
  }
  string interpreter(next_word(line));
  string through = file + " is a script, and ";
  Verdict verdict = check_file(interpreter, depth + 1);
  if (verdict.good() && base_name(interpreter) == "env") {
    string_view word = next_word(line);
    while (word.starts_with("-") || word.find('=') != string_view::npos) {
      word = next_word(line);
    }
    string found;
    verdict = find_program(string(word), found);
    if (verdict.good()) {
      verdict = check_file(found, depth + 1);
    }
  }
  if (!verdict.good()) {
    // The script itself is there: what is missing is its interpreter, and that is 126 for env(1)
    // too.
    return Verdict::cannot_run(through + verdict.problem);
  }
  return verdict;
}

}  // namespace

Verdict check_target(const string& file) { return check_file(file, 0); }

}  // namespace ramie::cli

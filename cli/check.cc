#include "cli/check.h"

#include <fcntl.h>
#include <gnu/libc-version.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>
#include <map>
#include <string>

#include "cli/preload.h"

namespace ramie::cli {
namespace {

using std::string;

void print(const char* what, const string& value) { printf("%-12s %s\n", what, value.c_str()); }

string kernel() {
  utsname names;
  return uname(&names) == 0 ? names.release : strerror(errno);
}

// Whether one mapping can hold many guarded stacks (Linux 6.13).
string guard_probe() {
  constexpr int kGuardInstall = 102;  // MADV_GUARD_INSTALL
  constexpr size_t kSize = 8192;
  void* map = mmap(nullptr, kSize, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (map == MAP_FAILED) {
    return strerror(errno);
  }
  bool works = madvise(map, kSize / 2, kGuardInstall) == 0;
  munmap(map, kSize);
  return works ? "madvise" : "mprotect (no MADV_GUARD_INSTALL before Linux 6.13)";
}

string io_uring_probe() {
  char parameters[120] = {};
  long fd = syscall(SYS_io_uring_setup, 1, parameters);
  if (fd < 0) {
    return string("not available (") + strerror(errno) + ")";
  }
  close(static_cast<int>(fd));
  return "available";
}

// Runs this same executable's self-test under the preload.  Returns its exit status, or -1;
// `output` becomes what it printed.
int run_self_test(string& output, string& problem) {
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) {
    problem = strerror(errno);
    return -1;
  }
  pid_t child = fork();
  if (child == 0) {
    dup2(ends[1], STDOUT_FILENO);
    execl("/proc/self/exe", "ramie", "check", "--self-test", nullptr);
    _exit(kOurFailure);
  }
  close(ends[1]);
  char buffer[4096];
  ssize_t size;
  while ((size = read(ends[0], buffer, sizeof buffer)) > 0) {
    output.append(buffer, static_cast<size_t>(size));
  }
  close(ends[0]);
  int status = 0;
  if (child < 0 || waitpid(child, &status, 0) < 0) {
    problem = strerror(errno);
    return -1;
  }
  if (WIFSIGNALED(status)) {
    problem = string("killed by ") + strsignal(WTERMSIG(status));
    return -1;
  }
  return WEXITSTATUS(status);
}

std::map<string, string> parse_lines(const string& text) {
  std::map<string, string> values;
  for (size_t at = 0; at < text.size();) {
    size_t end = text.find('\n', at);
    string line = text.substr(at, end == string::npos ? end : end - at);
    size_t space = line.find(' ');
    values[line.substr(0, space)] = space == string::npos ? "" : line.substr(space + 1);
    at += line.size() + 1;
  }
  return values;
}

}  // namespace

int check() {
  string preload;
  if (Verdict verdict = set_preload(preload); !verdict.good()) {
    fprintf(stderr, "ramie: %s\n", verdict.problem.c_str());
    return verdict.exit_status;
  }
  string output;
  string problem;
  int status = run_self_test(output, problem);
  std::map<string, string> found = parse_lines(output);
  auto value = [&found](const char* key) {
    auto at = found.find(key);
    return at == found.end() ? string("unknown") : at->second;
  };

  print("ramie", RAMIE_VERSION);
  print("kernel", kernel());
  print("glibc", gnu_get_libc_version());
  print("preload", preload);
  print("sites", value("sites_found") + " found, " + value("sites_patched") + " patched, " +
                     value("sites_refused") + " refused");
  print("entry", value("entry"));
  print("fs mode", value("fs_mode"));
  print("poller", value("poller"));
  print("guards", found.contains("guards") ? value("guards") : guard_probe());
  print("io_uring", io_uring_probe());
  bool hosting = value("hosting") == "on";
  string reason = found.contains("reason") ? found["reason"] : "";
  print("hosting", value("hosting") + (hosting || reason.empty() ? "" : " (" + reason + ")"));
  if (found.contains("self_test")) {
    problem = found["self_test"];
  } else if (problem.empty()) {
    problem = "ended with exit status " + std::to_string(status);
  }
  bool passed = status == 0;
  print("self-test", (passed ? "passed: " : "failed: ") + problem);
  return passed && hosting ? 0 : 1;
}

}  // namespace ramie::cli

#include "cli/run.h"

#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <cstring>

#include "cli/config.h"
#include "cli/elf_target.h"
#include "cli/find_program.h"
#include "cli/preload.h"

namespace ramie::cli {
namespace {

int refuse(const Verdict& verdict) {
  fprintf(stderr, "ramie: %s\n", verdict.problem.c_str());
  return verdict.exit_status;
}

}  // namespace

int run(const RunOptions& options) {
  if (options.command.empty()) {
    return refuse({kUsage, "there is nothing to run; ramie run [options] -- program [arguments]"});
  }
  // The runtime would complain of a bad value itself, but only at the program's first thread.
  if (!set_variables(options)) {
    return kUsage;
  }
  std::string file;
  Verdict verdict = find_program(options.command.front(), file);
  if (verdict.good()) {
    verdict = check_target(file);
  }
  std::string preload;
  if (verdict.good()) {
    verdict = set_preload(preload);
  }
  if (!verdict.good()) {
    return refuse(verdict);
  }
  std::vector<char*> arguments;
  for (const std::string& argument : options.command) {
    arguments.push_back(const_cast<char*>(argument.c_str()));
  }
  arguments.push_back(nullptr);
  // With a path this is execv(), plus sh for a script that doesn't name its interpreter.
  execvp(file.c_str(), arguments.data());
  return refuse({errno == ENOENT ? kNotFound : kCannotRun, file + ": " + strerror(errno)});
}

}  // namespace ramie::cli

#include "cli/find_program.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string_view>

namespace ramie::cli {

Verdict find_program(const std::string& name, std::string& file) {
  if (name.find('/') != std::string::npos) {
    file = name;
    return {};
  }
  const char* variable = getenv("PATH");
  std::string_view path = variable != nullptr ? variable : "/bin:/usr/bin";
  std::string unusable;
  // An empty name, and an empty element, which means the current directory, are taken as they come.
  for (bool more = !name.empty(); more;) {
    size_t colon = path.find(':');
    std::string folder(path.substr(0, colon));
    std::string candidate = (folder.empty() ? "." : folder) + "/" + name;
    struct stat status;
    if (stat(candidate.c_str(), &status) == 0 && S_ISREG(status.st_mode)) {
      if (access(candidate.c_str(), X_OK) == 0) {
        file = candidate;
        return {};
      }
      unusable = candidate;
    }
    more = colon != std::string_view::npos;
    path.remove_prefix(more ? colon + 1 : path.size());
  }
  if (!unusable.empty()) {
    return Verdict::cannot_run(unusable + " is not executable; see chmod +x");
  }
  return {kNotFound, "there is no program \"" + name + "\" in PATH"};
}

}  // namespace ramie::cli

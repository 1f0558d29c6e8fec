#include "cli/preload.h"

#include <unistd.h>

#include <climits>
#include <cstdlib>

namespace ramie::cli {
namespace {

constexpr char kName[] = "/libramie-preload.so";

std::string own_folder() {
  char path[PATH_MAX];
  ssize_t size = readlink("/proc/self/exe", path, sizeof path);
  std::string self(path, size > 0 ? static_cast<size_t>(size) : 0);
  return self.substr(0, self.rfind('/'));
}

Verdict find_preload(std::string& file) {
  if (const char* wish = getenv("RAMIE_PRELOAD_PATH"); wish != nullptr && *wish != '\0') {
    file = wish;
    if (access(wish, R_OK) != 0) {
      return {kOurFailure, "RAMIE_PRELOAD_PATH=" + file + " can't be read; name a library there"};
    }
    return {};
  }
  std::string here = own_folder();
  for (const std::string& folder :
       {here + "/../interpose", here + "/../lib/x86_64-linux-gnu", here + "/../lib64",
        here + "/../lib", std::string(RAMIE_LIBDIR)}) {
    file = folder + kName;
    if (access(file.c_str(), R_OK) == 0) {
      char real[PATH_MAX];
      file = realpath(file.c_str(), real) != nullptr ? real : file;
      return {};
    }
  }
  return {kOurFailure,
          "libramie-preload.so is not beside " + here + "/ramie; name it in RAMIE_PRELOAD_PATH"};
}

}  // namespace

Verdict set_preload(std::string& file) {
  Verdict verdict = find_preload(file);
  if (!verdict.good()) {
    return verdict;
  }
  // The loader takes both as separators and knows no way to quote them (man 8 ld.so).
  if (file.find_first_of(" :") != std::string::npos) {
    return {kOurFailure, "the loader can't preload " + file +
                             ": its path has a space or a colon; install it elsewhere"};
  }
  const char* before = getenv("LD_PRELOAD");
  std::string value = file;
  if (before != nullptr && *before != '\0') {
    value += std::string(":") + before;
  }
  setenv("LD_PRELOAD", value.c_str(), 1);
  return {};
}

}  // namespace ramie::cli

#include "interpose/host/processors.h"

#include <sched.h>

#include <algorithm>
#include <bit>
#include <cstring>
#include <string_view>

#include "base/proc_files.h"
#include "base/sys.h"
#include "base/text.h"

namespace ramie::host {
namespace {

using base::read_file;
using std::string_view;

constexpr unsigned kMost = 256;

unsigned allowed_by_affinity() {
  constexpr size_t kWords = 128;  // 8,192 processors
  uint64_t mask[kWords] = {};
  long bytes = sys::call(SYS_sched_getaffinity, 0, sizeof mask, sys::arg(mask));
  unsigned count = 0;
  for (long i = 0; i < bytes / static_cast<long>(sizeof *mask); ++i) {
    count += static_cast<unsigned>(std::popcount(mask[i]));
  }
  return count;
}

// cpu.max holds "QUOTA PERIOD" in microseconds, or "max PERIOD".
unsigned allowed_by_quota(const char* path) {
  char buffer[64];
  string_view text = read_file(path, buffer, sizeof buffer);
  uint64_t quota = base::take_number(text);
  if (quota == 0 || text.empty()) {
    return kMost;
  }
  text.remove_prefix(1);
  uint64_t period = base::take_number(text);
  return period == 0 ? kMost : static_cast<unsigned>((quota + period - 1) / period);
}

// The quotas of the process's own group and of those above it.
unsigned allowed_by_control_groups() {
  constexpr string_view kRoot = "/sys/fs/cgroup";
  char buffer[512];
  string_view text = read_file("/proc/self/cgroup", buffer, sizeof buffer);
  size_t unified = text.find("0::/");
  if (unified == string_view::npos) {
    return kMost;
  }
  text.remove_prefix(unified + 3);
  string_view group = base::first(text, text.find('\n'));
  unsigned allowed = kMost;
  while (group.size() > 1) {
    char path[640];
    char* end = std::copy(kRoot.begin(), kRoot.end(), path);
    end = std::copy(group.begin(), group.end(), end);
    memcpy(end, "/cpu.max", sizeof "/cpu.max");
    allowed = std::min(allowed, allowed_by_quota(path));
    group = base::first(group, group.rfind('/'));
  }
  // Inside a container the root of what is seen may have a quota.
  return std::min(allowed, allowed_by_quota("/sys/fs/cgroup/cpu.max"));
}

}  // namespace

unsigned usable_processors() {
  return std::clamp(std::min(allowed_by_affinity(), allowed_by_control_groups()), 1U, kMost);
}

}  // namespace ramie::host

#include "base/processors.h"

#include <sched.h>

#include <algorithm>
#include <atomic>
#include <bit>

#include "base/format.h"
#include "base/proc_files.h"
#include "base/sys.h"
#include "base/text.h"
#include "base/vdso.h"

namespace ramie::base {
namespace {

using std::string_view;

constexpr unsigned kMost = kMostProcessors;
constexpr size_t kLongestPath = 1024;

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

unsigned processors_for(uint64_t quota, uint64_t period) {
  uint64_t allowed = quota == 0 || period == 0 ? kMost : (quota + period - 1) / period;
  return static_cast<unsigned>(std::min<uint64_t>(allowed, kMost));
}

uint64_t read_number(const char* path) {
  char buffer[64];
  string_view text = read_file(path, buffer, sizeof buffer);
  return take_number(text);
}

// cpu.max holds "QUOTA PERIOD" in microseconds, or "max PERIOD".
unsigned allowed_by_max(string_view group) {
  Line<kLongestPath> path;
  path << group << "/cpu.max" << '\0';
  char buffer[64];
  string_view text = read_file(path.view().data(), buffer, sizeof buffer);
  uint64_t quota = take_number(text);
  (void)skip(text, " ");
  return processors_for(quota, take_number(text));
}

// Version 1 has a file for each; a quota of -1 is none.
unsigned allowed_by_quota_file(string_view group) {
  Line<kLongestPath> quota;
  quota << group << "/cpu.cfs_quota_us" << '\0';
  Line<kLongestPath> period;
  period << group << "/cpu.cfs_period_us" << '\0';
  return processors_for(read_number(quota.view().data()), read_number(period.view().data()));
}

// Of the group and of those above it, up to the root of what is seen here, which inside a container
// may have a quota as well.
unsigned least(string_view mount, string_view group, unsigned (*allowed_by)(string_view)) {
  unsigned allowed = kMost;
  for (;;) {
    group = group.size() > 1 ? group : string_view();
    Line<kLongestPath> folder;
    folder << mount << group;
    allowed = std::min(allowed, allowed_by(folder.view()));
    if (group.empty()) {
      return allowed;
    }
    group = first(group, group.rfind('/'));
  }
}

bool has_controller(string_view list, string_view controller) {
  while (!list.empty()) {
    string_view one = first(list, list.find(','));
    if (one == controller) {
      return true;
    }
    list.remove_prefix(std::min(list.size(), one.size() + 1));
  }
  return false;
}

// A line of /proc/PID/cgroup: "HIERARCHY:CONTROLLERS:GROUP", where version 2 names no controllers.
unsigned allowed_by_line(string_view line, string_view root) {
  string_view hierarchy = first(line, line.find(':'));
  line.remove_prefix(std::min(line.size(), hierarchy.size() + 1));
  string_view controllers = first(line, line.find(':'));
  line.remove_prefix(std::min(line.size(), controllers.size() + 1));
  if (hierarchy == "0" && controllers.empty()) {
    return least(root, line, allowed_by_max);
  }
  if (!has_controller(controllers, "cpu")) {
    return kMost;
  }
  Line<kLongestPath> mount;
  mount << root << "/cpu";  // where several are together, a link of this name leads there
  return least(mount.view(), line, allowed_by_quota_file);
}

unsigned allowed_by_control_groups() {
  char buffer[4096];
  return allowed_by_quotas(read_file("/proc/self/cgroup", buffer, sizeof buffer), "/sys/fs/cgroup");
}

}  // namespace

unsigned allowed_by_quotas(string_view groups, string_view root) {
  unsigned allowed = kMost;
  while (!groups.empty()) {
    string_view line = first(groups, groups.find('\n'));
    allowed = std::min(allowed, allowed_by_line(line, root));
    groups.remove_prefix(std::min(groups.size(), line.size() + 1));
  }
  return allowed;
}

unsigned usable_processors() {
  return std::clamp(std::min(allowed_by_affinity(), allowed_by_control_groups()), 1U, kMost);
}

int this_processor() {
  using Get = int(unsigned* processor, unsigned* node, void* unused);
  static constinit std::atomic<Get*> get = nullptr;
  static constinit std::atomic<bool> is_looked_up = false;
  if (!is_looked_up.load(std::memory_order_acquire)) {
    get.store(reinterpret_cast<Get*>(find_in_vdso("__vdso_getcpu")), std::memory_order_relaxed);
    is_looked_up.store(true, std::memory_order_release);
  }
  unsigned processor = 0;
  Get* found = get.load(std::memory_order_relaxed);
  return found != nullptr && found(&processor, nullptr, nullptr) == 0 ? static_cast<int>(processor)
                                                                      : -1;
}

}  // namespace ramie::base

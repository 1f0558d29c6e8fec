// How many processors this process may use, and which one it uses.
#pragma once

#include <string_view>

namespace ramie::base {

// No more are ever said.
inline constexpr unsigned kMostProcessors = 256;

// At least 1: what the affinity mask allows (man 2 sched_getaffinity), and no more than the quotas
// of its control groups, rounded up (cgroups(7); cpu.max, and cpu.cfs_quota_us of version 1).
[[nodiscard]] unsigned usable_processors();

// What those quotas allow to a process whose /proc/PID/cgroup reads so, where the groups are
// mounted below `root`.
[[nodiscard]] unsigned allowed_by_quotas(std::string_view groups, std::string_view root);

// The one on which the caller runs, or has just run (man 3 getcpu); -1 where the vDSO can't tell.
[[nodiscard]] int this_processor();

}  // namespace ramie::base

// How many processors this process may use.
#pragma once

namespace ramie::host {

// At least 1: what the affinity mask allows (man 2 sched_getaffinity), and no more than the quota
// of its control group, rounded up (cgroups(7), cpu.max).
[[nodiscard]] unsigned usable_processors();

}  // namespace ramie::host

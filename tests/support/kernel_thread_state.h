// What the kernel says a thread of this process does.
#pragma once

#include <fstream>
#include <string>

namespace ramie::test {

// Whether the kernel has put it to sleep.
inline bool is_asleep(int tid) {
  std::ifstream file("/proc/self/task/" + std::to_string(tid) + "/stat");
  std::string stat;
  std::getline(file, stat);
  size_t name_end = stat.rfind(')');
  return name_end != std::string::npos && stat.compare(name_end + 2, 1, "S") == 0;
}

}  // namespace ramie::test

// Which objects lie where in this process's memory, as /proc/self/maps says; and reading memory
// that may not be there.  For reports about the program's code: the executable mappings alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

namespace ramie::base {

// Copies `size` bytes of this process's memory.  False, without a fault, if they can't be read.
[[nodiscard]] bool read_memory(uintptr_t address, void* out, size_t size);

class MemoryMap {
 public:
  struct Region {
    uintptr_t start = 0;
    uintptr_t end = 0;
    uintptr_t object = 0;  // where the file's first mapping begins
    uint32_t name = 0;
    uint32_t name_size = 0;  // 0: no file, such as code that was made at run time
  };

  // Reads it anew.  Opens a file: for threads whose descriptors are their own, see thread_state.h.
  // What has no room is left out.
  void read();

  // The executable mapping that holds `address`, or null.
  [[nodiscard]] const Region* find(uintptr_t address) const;

  // The file's name without its folders.
  [[nodiscard]] std::string_view name(const Region& region) const {
    return {names_ + region.name, region.name_size};
  }

 private:
  void add_line(std::string_view line);

  static constexpr size_t kRegions = 4096;
  static constexpr size_t kNames = 128UL * 1024;

  size_t region_count_ = 0;
  size_t names_used_ = 0;
  uint64_t inode_ = 0;  // of the file whose mappings are being read
  uintptr_t object_ = 0;
  Region regions_[kRegions];
  char names_[kNames] = {};
};

}  // namespace ramie::base

#include "base/memory_map.h"

#include <fcntl.h>
#include <sys/uio.h>

#include <algorithm>
#include <cstring>

#include "base/sys.h"
#include "base/text.h"

namespace ramie::base {
namespace {

// A number and the one character behind it.
uint64_t take_field(std::string_view& text, unsigned base) {
  uint64_t value = take_number(text, base);
  text.remove_prefix(std::min<size_t>(1, text.size()));
  return value;
}

std::string_view take_word(std::string_view& text) {
  size_t end = std::min(text.find(' '), text.size());
  std::string_view word(text.data(), end);
  text.remove_prefix(std::min(end + 1, text.size()));
  return word;
}

}  // namespace

bool read_memory(uintptr_t address, void* out, size_t size) {
  iovec here{out, size};
  iovec there{reinterpret_cast<void*>(address), size};
  return sys::call(SYS_process_vm_readv, sys::getpid(), sys::arg(&here), 1, sys::arg(&there), 1) ==
         static_cast<long>(size);
}

// man 5 proc, /proc/PID/maps: start-end permissions offset device inode name
void MemoryMap::add_line(std::string_view line) {
  uintptr_t start = take_field(line, 16);
  uintptr_t end = take_field(line, 16);
  std::string_view permissions = take_word(line);
  (void)take_word(line);
  (void)take_word(line);
  uint64_t inode = take_field(line, 10);
  if (inode == 0 || inode != inode_) {
    object_ = start;
  }
  inode_ = inode;
  if (permissions.size() < 3 || permissions[2] != 'x' || region_count_ == kRegions) {
    return;
  }
  size_t path = line.find_first_not_of(' ');
  std::string_view name = line;
  name.remove_prefix(std::min(path, line.size()));
  name.remove_prefix(name.rfind('/') + 1);
  if (name.size() > kNames - names_used_) {
    return;
  }
  regions_[region_count_++] = {start, end, object_, static_cast<uint32_t>(names_used_),
                               static_cast<uint32_t>(name.size())};
  memcpy(names_ + names_used_, name.data(), name.size());
  names_used_ += name.size();
}

void MemoryMap::read() {
  region_count_ = 0;
  names_used_ = 0;
  inode_ = 0;
  long fd = sys::call(SYS_open, sys::arg("/proc/self/maps"), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return;
  }
  char text[8192];
  size_t held = 0;
  for (;;) {
    long n = sys::call(SYS_read, fd, sys::arg(text + held), static_cast<long>(sizeof text - held));
    if (n <= 0) {
      break;
    }
    std::string_view rest(text, held + static_cast<size_t>(n));
    for (size_t end; (end = rest.find('\n')) != std::string_view::npos;) {
      add_line(first(rest, end));
      rest.remove_prefix(end + 1);
    }
    held = rest.size() < sizeof text ? rest.size() : 0;  // no line is longer than a page and a bit
    memmove(text, rest.data(), held);
  }
  (void)sys::call(SYS_close, fd);
}

const MemoryMap::Region* MemoryMap::find(uintptr_t address) const {
  const Region* end = regions_ + region_count_;
  const Region* next = std::upper_bound(
      regions_, end, address, [](uintptr_t wanted, const Region& r) { return wanted < r.start; });
  if (next == regions_ || address >= next[-1].end) {
    return nullptr;
  }
  return next - 1;
}

}  // namespace ramie::base

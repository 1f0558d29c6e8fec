#include "base/proc_files.h"

#include <fcntl.h>

#include "base/sys.h"
#include "base/text.h"

namespace ramie::base {
namespace {

// As getdents64(2) writes them.
struct Entry {
  uint64_t inode;
  int64_t offset;
  uint16_t length;
  uint8_t type;
  char name[1];
};

bool visit_entries(const char* buffer, long size, VisitNumber visit, void* argument) {
  for (long at = 0; at < size;) {
    const auto* entry = reinterpret_cast<const Entry*>(buffer + at);
    at += entry->length;
    std::string_view name(entry->name);
    bool is_number = name.front() >= '0' && name.front() <= '9';
    if (is_number && !visit(static_cast<int>(take_number(name)), argument)) {
      return false;
    }
  }
  return true;
}

}  // namespace

std::string_view read_file(const char* path, char* buffer, size_t size) {
  long fd = sys::call(SYS_open, sys::arg(path), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return {};
  }
  long n = sys::call(SYS_read, fd, sys::arg(buffer), static_cast<long>(size));
  (void)sys::call(SYS_close, fd);
  return {buffer, n > 0 ? static_cast<size_t>(n) : 0};
}

bool find_signals(std::string_view text, std::string_view label, uint64_t& signals) {
  size_t at = text.find(label);
  if (at == std::string_view::npos) {
    return false;
  }
  signals = 0;
  for (size_t i = at + label.size(); i < text.size() && text[i] != '\n'; ++i) {
    char c = text[i];
    signals = signals * 16 + static_cast<uint64_t>(c <= '9' ? c - '0' : c - 'a' + 10);
  }
  return true;
}

bool for_each_number(const char* directory, VisitNumber visit, void* argument) {
  long fd = sys::call(SYS_open, sys::arg(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (fd < 0) {
    return false;
  }
  alignas(Entry) char buffer[2048];
  long size;
  bool goes_on = true;
  while (goes_on && (size = sys::call(SYS_getdents64, fd, sys::arg(buffer), sizeof buffer)) > 0) {
    goes_on = visit_entries(buffer, size, visit, argument);
  }
  (void)sys::call(SYS_close, fd);
  return goes_on && size == 0;
}

}  // namespace ramie::base

#include "interpose/host/native_names.h"

#include <algorithm>
#include <cstring>

#include "base/config.h"
#include "base/text.h"

namespace ramie::host {
namespace {

using std::string_view;

constexpr string_view kLibrary = "lib:";
constexpr string_view kThread = "thread:";
constexpr size_t kLongestThreadName = 15;

// Takes the first name off the list.  The list isn't empty.
string_view take_name(string_view& list) {
  size_t end = std::min(list.find(','), list.size());
  string_view name(list.data(), end);
  list.remove_prefix(std::min(end + 1, list.size()));
  return name;
}

// Whether is_meant(what stands behind the prefix) for one of those that have it.
template <typename Predicate>
bool any_behind(string_view prefix, Predicate is_meant) {
  const char* native = base::config().native;
  for (string_view rest(native != nullptr ? native : ""); !rest.empty();) {
    string_view name = take_name(rest);
    if (base::begins_with(name, prefix)) {
      name.remove_prefix(prefix.size());
      if (is_meant(name)) {
        return true;
      }
    }
  }
  return false;
}

}  // namespace

bool is_native_program(string_view file) {
  // With a prefix, a name is that of no file: none is accepted that has a colon.
  return any_behind("", [file](string_view name) { return name == file; });
}

bool has_native_libraries() {
  return any_behind(kLibrary, [](string_view) { return true; });
}

bool is_library(string_view name, string_view file) {
  return base::begins_with(file, name) && (file.size() == name.size() || file[name.size()] == '.');
}

bool is_native_library(string_view file) {
  return any_behind(kLibrary, [file](string_view name) { return is_library(name, file); });
}

bool is_native_thread_name(string_view name) {
  return any_behind(kThread, [name](string_view pattern) {
    bool is_whole = pattern.find('*') == string_view::npos;
    return matches(is_whole ? base::first(pattern, kLongestThreadName) : pattern, name);
  });
}

bool matches(string_view pattern, string_view text) {
  const char* p = pattern.data();
  const char* t = text.data();
  const char* const pattern_end = p + pattern.size();
  const char* const text_end = t + text.size();
  const char* star = nullptr;  // the last one, and where what it stands for ends for now
  const char* star_text = nullptr;
  while (t != text_end) {
    if (p != pattern_end && *p == '*') {
      star = p++;
      star_text = t;
    } else if (p != pattern_end && *p == *t) {
      ++p;
      ++t;
    } else if (star != nullptr) {
      p = star + 1;
      t = ++star_text;
    } else {
      return false;
    }
  }
  return std::all_of(p, pattern_end, [](char c) { return c == '*'; });
}

}  // namespace ramie::host

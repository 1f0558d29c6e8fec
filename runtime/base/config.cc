#include "base/config.h"

#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <cstring>
#include <iterator>
#include <span>
#include <string_view>
#include <type_traits>

#include "base/format.h"
#include "base/lock.h"
#include "base/sys.h"
#include "base/text.h"

namespace ramie::base {
namespace {

using std::string_view;

struct Choice {
  string_view name;
  int value;
};

constexpr Choice kFs[] = {{"auto", static_cast<int>(FsChoice::automatic)},
                          {"fsgsbase", static_cast<int>(FsChoice::fsgsbase)},
                          {"trap", static_cast<int>(FsChoice::trap)},
                          {"prctl", static_cast<int>(FsChoice::prctl)}};
constexpr Choice kEntry[] = {{"auto", static_cast<int>(EntryChoice::automatic)},
                             {"patch", static_cast<int>(EntryChoice::patch)},
                             {"sud", static_cast<int>(EntryChoice::sud)},
                             {"symbols", static_cast<int>(EntryChoice::symbols)}};
constexpr Choice kGuards[] = {{"auto", static_cast<int>(GuardChoice::automatic)},
                              {"madvise", static_cast<int>(GuardChoice::madvise)},
                              {"mprotect", static_cast<int>(GuardChoice::mprotect)}};
constexpr Choice kPoller[] = {{"auto", static_cast<int>(PollerChoice::automatic)},
                              {"epoll", static_cast<int>(PollerChoice::epoll)},
                              {"io_uring", static_cast<int>(PollerChoice::io_uring)}};
constexpr Choice kDeadlock[] = {{"off", static_cast<int>(DeadlockAction::off)},
                                {"report", static_cast<int>(DeadlockAction::report)},
                                {"abort", static_cast<int>(DeadlockAction::abort)}};
constexpr Choice kBlocked[] = {{"off", static_cast<int>(BlockedAction::off)},
                               {"report", static_cast<int>(BlockedAction::report)}};
constexpr Choice kLog[] = {{"off", static_cast<int>(LogLevel::off)},
                           {"warn", static_cast<int>(LogLevel::warn)},
                           {"info", static_cast<int>(LogLevel::info)},
                           {"debug", static_cast<int>(LogLevel::debug)}};
constexpr Choice kFamilies[] = {{"sleep", bit(Family::sleep)},     {"io", bit(Family::io)},
                                {"socket", bit(Family::socket)},   {"poll", bit(Family::poll)},
                                {"process", bit(Family::process)}, {"file", bit(Family::file)},
                                {"lock", bit(Family::lock)},       {"ipc", bit(Family::ipc)}};
constexpr unsigned kAllFamilies = 0xff;
constexpr Choice kSwitch[] = {{"on", 1}, {"off", 0}};

constexpr size_t kTextRoom = 1024;  // for a value that is kept as it is
constexpr size_t kMinStack = 16UL * 1024;
constexpr size_t kMaxStack = 1024UL * 1024 * 1024;

bool pick(string_view value, std::span<const Choice> choices, int& out) {
  for (const Choice& choice : choices) {
    if (choice.name == value) {
      out = choice.value;
      return true;
    }
  }
  return false;
}

bool parse_number(string_view text, size_t& out) {
  if (text.empty() || text.size() > 12) {
    return false;
  }
  out = 0;
  for (char c : text) {
    if (c < '0' || c > '9') {
      return false;
    }
    out = out * 10 + static_cast<size_t>(c - '0');
  }
  return true;
}

// A number with an optional suffix k or m (powers of 1024).
bool parse_size(string_view text, size_t& out) {
  size_t unit = 1;
  if (!text.empty() && (text.back() == 'k' || text.back() == 'm')) {
    unit = text.back() == 'k' ? 1024 : 1024UL * 1024;
    text.remove_suffix(1);
  }
  bool good = parse_number(text, out);
  out *= unit;
  return good;
}

// A list of families, or of families with a minus each.
bool parse_families(string_view text, unsigned& off) {
  off = 0;
  if (text == "all") {
    return true;
  }
  bool excludes = text.starts_with('-');
  unsigned named = 0;
  for (bool is_last = false; !is_last;) {
    size_t end = text.find(',');
    is_last = end == string_view::npos;
    string_view word(text.data(), is_last ? text.size() : end);
    text.remove_prefix(is_last ? text.size() : end + 1);
    int family = 0;
    if (word.starts_with('-') != excludes) {
      return false;
    }
    word.remove_prefix(excludes ? 1 : 0);
    if (!pick(word, kFamilies, family)) {
      return false;
    }
    named |= static_cast<unsigned>(family);
  }
  off = excludes ? named : kAllFamilies & ~named;
  return true;
}

// The name of a file without folders, or behind a prefix that of a library or of threads.
bool is_native_name(string_view name) {
  constexpr string_view kLibrary = "lib:";
  constexpr string_view kThread = "thread:";
  if (begins_with(name, kThread)) {
    return name.size() > kThread.size();
  }
  if (begins_with(name, kLibrary)) {
    name.remove_prefix(kLibrary.size());
  }
  return !name.empty() && name.find('/') == string_view::npos &&
         name.find(':') == string_view::npos;
}

// With commas between.
bool are_native_names(string_view text) {
  for (bool is_last = false; !is_last;) {
    size_t end = text.find(',');
    is_last = end == string_view::npos;
    if (!is_native_name({text.data(), is_last ? text.size() : end})) {
      return false;
    }
    text.remove_prefix(is_last ? text.size() : end + 1);
  }
  return true;
}

// A variable that is one word of a few.
template <auto member, const auto& choices>
bool choose(string_view value, Config& out) {
  int picked = 0;
  bool good = pick(value, choices, picked);
  out.*member = static_cast<std::remove_reference_t<decltype(out.*member)>>(picked);
  return good;
}

// A number from `least` to `most`, which is stored times `unit`.
template <auto member, size_t least, size_t most, int64_t unit = 1>
bool count(string_view value, Config& out) {
  size_t number = 0;
  bool good = parse_number(value, number) && number >= least && number <= most;
  out.*member = static_cast<std::remove_reference_t<decltype(out.*member)>>(
      static_cast<int64_t>(number) * unit);
  return good;
}

constexpr int64_t kMillisecond = 1'000'000;

bool read_carriers(string_view value, Config& out) {
  return value == "auto" || count<&Config::carriers, 1, 256>(value, out);
}

bool read_audit(string_view value, Config& out) {
  int picked = 0;
  if (pick(value, kSwitch, picked)) {
    out.audit = picked != 0 ? 0 : Config::kNoAudit;
    return true;
  }
  return count<&Config::audit, 1, 10'000, kMillisecond>(value, out);
}

bool read_families(string_view value, Config& out) {
  return parse_families(value, out.families_off);
}

bool read_stack_size(string_view value, Config& out) {
  return parse_size(value, out.stack_size) && out.stack_size >= kMinStack &&
         out.stack_size <= kMaxStack;
}

// A text is kept as the environment's own string, which ends with a zero byte.
template <auto member, bool (*is_good)(string_view)>
bool read_text(string_view value, Config& out) {
  out.*member = value.data();
  return value.size() < kTextRoom && is_good(value);
}

bool is_something(string_view text) { return !text.empty(); }
bool is_absolute(string_view path) { return begins_with(path, "/"); }

struct Setting {
  string_view name;
  bool (*read)(string_view value, Config& out);
  string_view expected;  // what a value that `read` refuses should have been
};

constexpr Setting kSettings[] = {
    {"RAMIE_CARRIERS", read_carriers, "auto or a number from 1 to 256"},
    {"RAMIE_SLICE", count<&Config::slice, 1, 60000, kMillisecond>, "milliseconds, from 1 to 60000"},
    {"RAMIE_MAX_BLOCKED", count<&Config::max_blocked, 1, Config::kMostBlocked>,
     "a number from 1 to 4096"},
    {"RAMIE_FS", choose<&Config::fs, kFs>, "auto, fsgsbase, trap or prctl"},
    {"RAMIE_ENTRY", choose<&Config::entry, kEntry>, "auto, patch, sud or symbols"},
    {"RAMIE_GUARDS", choose<&Config::guards, kGuards>, "auto, madvise or mprotect"},
    {"RAMIE_POLLER", choose<&Config::poller, kPoller>, "auto, epoll or io_uring"},
    {"RAMIE_DEADLOCK", choose<&Config::deadlock, kDeadlock>, "off, report or abort"},
    {"RAMIE_BLOCKED", choose<&Config::blocked, kBlocked>, "off or report"},
    {"RAMIE_AUDIT", read_audit, "off, on or milliseconds, from 1 to 10000"},
    {"RAMIE_LOG", choose<&Config::log, kLog>, "off, warn, info or debug"},
    {"RAMIE_LOG_FILE", read_text<&Config::log_file, is_absolute>, "the path of a file, from / on"},
    {"RAMIE_HOSTING", choose<&Config::hosting, kSwitch>, "on or off"},
    {"RAMIE_PATCH", read_families,
     "all or some of sleep,io,socket,poll,process,file,lock,ipc, or those to leave out, each with "
     "a -; threads, their signals and locks are Ramie's in any case"},
    {"RAMIE_NATIVE", read_text<&Config::native, are_native_names>,
     "names of programs, of libraries behind lib:, or of threads behind thread:, with commas "
     "between"},
    {"RAMIE_STACK_SIZE", read_stack_size, "bytes from 16k to 1024m, as in 65536, 64k or 1m"},
    {"RAMIE_STATS", read_text<&Config::stats, is_something>, "the name of a file"},
};

// The setting of that name; none for a variable of a later version, or of the ramie command.
const Setting* find_setting(string_view name) {
  const Setting* found = std::find_if(std::begin(kSettings), std::end(kSettings),
                                      [&](const Setting& each) { return each.name == name; });
  return found == std::end(kSettings) ? nullptr : found;
}

// Programs change and free their environment, perl as it ends: what is kept of it is copied.
constexpr const char* Config::*kTexts[] = {&Config::stats, &Config::native, &Config::log_file};
constinit char kept_texts[std::size(kTexts)][kTextRoom];

void keep_texts(Config& config) {
  for (size_t i = 0; i < std::size(kTexts); ++i) {
    const char*& text = config.*kTexts[i];
    if (text != nullptr) {
      text = static_cast<const char*>(memcpy(kept_texts[i], text, strlen(text) + 1));
    }
  }
}

constinit Lock reading;

}  // namespace

bool parse_config(const char* const* environment, Config& out, char* error, size_t error_size) {
  for (; environment != nullptr && *environment != nullptr; ++environment) {
    string_view entry(*environment);
    size_t equals = entry.find('=');
    if (!begins_with(entry, "RAMIE_") || equals == string_view::npos) {
      continue;
    }
    string_view name(entry.data(), equals);
    string_view value(entry.data() + equals + 1);
    const Setting* setting = find_setting(name);
    if (setting != nullptr && !setting->read(value, out)) {
      Line<512> line;
      line << "ramie: " << name << "=" << value << " is not understood; use " << setting->expected;
      size_t n = line.view().size() < error_size - 1 ? line.view().size() : error_size - 1;
      memcpy(error, line.view().data(), n);
      error[n] = '\0';
      return false;
    }
  }
  return true;
}

namespace detail {

void read_config() {
  LockGuard guard(reading);
  if (config_is_read.load(std::memory_order_relaxed)) {
    return;
  }
  char error[512];
  if (!parse_config(environ, the_config, error, sizeof error)) {
    Line<512> line;
    line << error;
    line.write_to(2);
    sys::call(SYS_exit_group, 2);
  }
  keep_texts(the_config);
  config_is_read.store(true, std::memory_order_release);  // pairs with config()
}

}  // namespace detail

}  // namespace ramie::base

#include "base/config.h"

#include <unistd.h>

#include <atomic>
#include <cstring>
#include <span>
#include <string_view>

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

// Names with commas between, some of them behind "lib:".
bool are_names(string_view text) {
  constexpr string_view kLibrary = "lib:";
  for (bool is_last = false; !is_last;) {
    size_t end = text.find(',');
    is_last = end == string_view::npos;
    string_view name(text.data(), is_last ? text.size() : end);
    text.remove_prefix(is_last ? text.size() : end + 1);
    if (begins_with(name, kLibrary)) {
      name.remove_prefix(kLibrary.size());
    }
    if (name.empty() || name.find('/') != string_view::npos ||
        name.find(':') != string_view::npos) {
      return false;
    }
  }
  return true;
}

// One variable's value into `out`.  On failure `expected` says what would have been accepted.
bool parse_one(string_view name, string_view value, Config& out, string_view& expected) {
  int picked = 0;
  if (name == "RAMIE_CARRIERS") {
    expected = "auto or a number from 1 to 256";
    size_t count = 0;
    bool good = value == "auto" || (parse_number(value, count) && count >= 1 && count <= 256);
    out.carriers = static_cast<unsigned>(count);
    return good;
  }
  if (name == "RAMIE_SLICE") {
    expected = "milliseconds, from 1 to 1000";
    size_t millis = 0;
    bool good = parse_number(value, millis) && millis >= 1 && millis <= 1000;
    out.slice = static_cast<int64_t>(millis) * 1'000'000;
    return good;
  }
  if (name == "RAMIE_MAX_BLOCKED") {
    expected = "a number from 1 to 4096";
    size_t count = 0;
    bool good = parse_number(value, count) && count >= 1 && count <= Config::kMostBlocked;
    out.max_blocked = static_cast<unsigned>(count);
    return good;
  }
  if (name == "RAMIE_FS") {
    expected = "auto, fsgsbase, trap or prctl";
    bool good = pick(value, kFs, picked);
    out.fs = static_cast<FsChoice>(picked);
    return good;
  }
  if (name == "RAMIE_ENTRY") {
    expected = "auto, patch, sud or symbols";
    bool good = pick(value, kEntry, picked);
    out.entry = static_cast<EntryChoice>(picked);
    return good;
  }
  if (name == "RAMIE_GUARDS") {
    expected = "auto, madvise or mprotect";
    bool good = pick(value, kGuards, picked);
    out.guards = static_cast<GuardChoice>(picked);
    return good;
  }
  if (name == "RAMIE_POLLER") {
    expected = "auto, epoll or io_uring";
    bool good = pick(value, kPoller, picked);
    out.poller = static_cast<PollerChoice>(picked);
    return good;
  }
  if (name == "RAMIE_DEADLOCK") {
    expected = "off, report or abort";
    bool good = pick(value, kDeadlock, picked);
    out.deadlock = static_cast<DeadlockAction>(picked);
    return good;
  }
  if (name == "RAMIE_BLOCKED") {
    expected = "off or report";
    bool good = pick(value, kBlocked, picked);
    out.blocked = static_cast<BlockedAction>(picked);
    return good;
  }
  if (name == "RAMIE_AUDIT") {
    expected = "off, on or milliseconds, from 1 to 10000";
    size_t millis = 0;
    bool good = pick(value, kSwitch, picked);
    if (good) {
      out.audit = picked != 0 ? 0 : Config::kNoAudit;
      return true;
    }
    good = parse_number(value, millis) && millis >= 1 && millis <= 10'000;
    out.audit = static_cast<int64_t>(millis) * 1'000'000;
    return good;
  }
  if (name == "RAMIE_LOG") {
    expected = "off, warn, info or debug";
    bool good = pick(value, kLog, picked);
    out.log = static_cast<LogLevel>(picked);
    return good;
  }
  if (name == "RAMIE_LOG_FILE") {
    expected = "the path of a file, from / on";
    out.log_file = value.data();  // the environment's own string, which ends with a zero byte
    return begins_with(value, "/") && value.size() < kTextRoom;
  }
  if (name == "RAMIE_HOSTING") {
    expected = "on or off";
    bool good = pick(value, kSwitch, picked);
    out.hosting = picked != 0;
    return good;
  }
  if (name == "RAMIE_PATCH") {
    expected =
        "all or some of sleep,io,socket,poll,process,file,lock,ipc, or those to leave out, each "
        "with "
        "a -; threads, their signals and locks are Ramie's in any case";
    return parse_families(value, out.families_off);
  }
  if (name == "RAMIE_NATIVE") {
    expected = "names of programs, or of libraries behind lib:, with commas between";
    out.native = value.data();  // the environment's own string
    return value.size() < kTextRoom && are_names(value);
  }
  if (name == "RAMIE_STACK_SIZE") {
    expected = "bytes from 16k to 1024m, as in 65536, 64k or 1m";
    return parse_size(value, out.stack_size) && out.stack_size >= kMinStack &&
           out.stack_size <= kMaxStack;
  }
  if (name == "RAMIE_STATS") {
    expected = "the name of a file";
    out.stats = value.data();  // the environment's own string, which ends with a zero byte
    return !value.empty() && value.size() < kTextRoom;
  }
  return true;  // a variable of a later version, or of the ramie command
}

// Programs change and free their environment, perl as it ends: what is kept of it is copied.
constinit char kept_stats[kTextRoom];
constinit char kept_native[kTextRoom];
constinit char kept_log_file[kTextRoom];

const char* keep(const char* text, char (&room)[kTextRoom]) {
  return text == nullptr ? nullptr : static_cast<const char*>(memcpy(room, text, strlen(text) + 1));
}

constinit Config the_config;
constinit std::atomic<bool> is_read = false;
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
    string_view expected;
    if (!parse_one(name, value, out, expected)) {
      Line<512> line;
      line << "ramie: " << name << "=" << value << " is not understood; use " << expected;
      size_t n = line.view().size() < error_size - 1 ? line.view().size() : error_size - 1;
      memcpy(error, line.view().data(), n);
      error[n] = '\0';
      return false;
    }
  }
  return true;
}

const Config& config() {
  if (!is_read.load(std::memory_order_acquire)) [[unlikely]] {  // pairs with the store below
    LockGuard guard(reading);
    char error[512];
    if (!is_read.load(std::memory_order_relaxed)) {
      if (!parse_config(environ, the_config, error, sizeof error)) {
        Line<512> line;
        line << error;
        line.write_to(2);
        sys::call(SYS_exit_group, 2);
      }
      the_config.stats = keep(the_config.stats, kept_stats);
      the_config.native = keep(the_config.native, kept_native);
      the_config.log_file = keep(the_config.log_file, kept_log_file);
      is_read.store(true, std::memory_order_release);
    }
  }
  return the_config;
}

}  // namespace ramie::base

#include "cli/config.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <string_view>
#include <utility>

#include "base/config.h"
#include "cli/verdict.h"

namespace ramie::cli {
namespace {

constexpr Setting kSettings[] = {
    {"RAMIE_CARRIERS", "auto"},    {"RAMIE_SLICE", "10"},    {"RAMIE_FS", "auto"},
    {"RAMIE_MAX_BLOCKED", "4096"}, {"RAMIE_ENTRY", "auto"},  {"RAMIE_STACK_SIZE", "64k"},
    {"RAMIE_GUARDS", "auto"},      {"RAMIE_POLLER", "auto"}, {"RAMIE_DEADLOCK", "off"},
    {"RAMIE_LOG", "off"},          {"RAMIE_BLOCKED", "off"}, {"RAMIE_AUDIT", "off"},
    {"RAMIE_HOSTING", "on"},       {"RAMIE_STATS", ""},      {"RAMIE_PATCH", "all"},
    {"RAMIE_NATIVE", ""},          {"RAMIE_LOG_FILE", ""},   {"RAMIE_PRELOAD_PATH", ""},
};

void print_row(std::string_view name, std::string_view value, std::string_view source) {
  printf("%-20.*s %-12.*s %.*s\n", static_cast<int>(name.size()), name.data(),
         value.empty() ? 1 : static_cast<int>(value.size()), value.empty() ? "-" : value.data(),
         static_cast<int>(source.size()), source.data());
}

void print_setting(const Setting& setting, const RunOptions& options) {
  // The last option of a name wins.
  auto given = std::find_if(options.variables.rbegin(), options.variables.rend(),
                            [&](const auto& variable) { return variable.first == setting.name; });
  if (given != options.variables.rend()) {
    print_row(setting.name, given->second, "option");
  } else if (const char* value = getenv(setting.name)) {
    print_row(setting.name, value, "environment");
  } else {
    print_row(setting.name, setting.fallback, "default");
  }
}

bool is_known(std::string_view name) {
  return std::any_of(std::begin(kSettings), std::end(kSettings),
                     [&](const Setting& setting) { return setting.name == name; });
}

}  // namespace

std::span<const Setting> settings() { return kSettings; }

std::string excluded(const std::string& families) {
  std::string value = "-";
  for (char c : families) {
    value += c == ',' ? std::string(",-") : std::string(1, c);
  }
  return value;
}

bool set_variables(const RunOptions& options) {
  for (const auto& [name, value] : options.variables) {
    setenv(name.c_str(), value.c_str(), 1);
  }
  base::Config ignored;
  char error[512];
  bool good = base::parse_config(environ, ignored, error, sizeof error);
  if (!good) {
    fprintf(stderr, "%s\n", error);
  }
  return good;
}

int config(const RunOptions& options) {
  for (const Setting& setting : kSettings) {
    print_setting(setting, options);
  }
  for (char** entry = environ; *entry != nullptr; ++entry) {
    std::string_view variable(*entry);
    size_t equals = variable.find('=');
    if (variable.starts_with("RAMIE_") && equals != std::string_view::npos &&
        !is_known(variable.substr(0, equals))) {
      print_row(variable.substr(0, equals), variable.substr(equals + 1), "environment, ignored");
    }
  }
  fflush(stdout);
  return set_variables(options) ? 0 : kUsage;
}

}  // namespace ramie::cli

// Messages for whoever runs the program: one line each, by a raw write, to descriptor 2 or to the
// file that RAMIE_LOG_FILE names; only as much as RAMIE_LOG asks for (off by default).
#pragma once

#include <atomic>
#include <string_view>

#include "base/config.h"
#include "base/format.h"

namespace ramie::base {

[[nodiscard]] inline bool logs(LogLevel level) { return config().log >= level; }

// Writes whole lines as they are.  The file is opened for each call, so that the program finds no
// descriptor of ours; where it can't be opened, the lines go to descriptor 2.
void write_message(std::string_view lines);

// Usage: log_line(LogLevel::warn, "no room near libc: ", address);  Nothing is formatted when the
// level is not asked for.
template <class... Parts>
void log_line(LogLevel level, const Parts&... parts) {
  if (logs(level)) [[unlikely]] {
    Line<512> line;
    line << "ramie: ";
    (line << ... << parts);
    write_message(line.ended());
  }
}

// Likewise, once for each `said`: for what may happen again and again.
template <class... Parts>
void log_once(std::atomic<bool>& said, LogLevel level, const Parts&... parts) {
  if (logs(level) && !said.exchange(true, std::memory_order_relaxed)) [[unlikely]] {
    log_line(level, parts...);
  }
}

}  // namespace ramie::base

// Messages for whoever runs the program: one line each to descriptor 2, by a raw write, only as
// much as RAMIE_LOG asks for (off by default).
#pragma once

#include "base/config.h"
#include "base/format.h"

namespace ramie::base {

[[nodiscard]] inline bool logs(LogLevel level) { return config().log >= level; }

// Usage: log_line(LogLevel::warn, "no room near libc: ", address);  Nothing is formatted when the
// level is not asked for.
template <class... Parts>
void log_line(LogLevel level, const Parts&... parts) {
  if (logs(level)) [[unlikely]] {
    Line<512> line;
    line << "ramie: ";
    (line << ... << parts);
    line.write_to(2);
  }
}

}  // namespace ramie::base

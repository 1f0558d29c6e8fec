#include "base/log.h"

#include <fcntl.h>

#include "base/sys.h"

namespace ramie::base {

void write_message(std::string_view lines) {
  const char* path = config().log_file;
  long opened = path == nullptr
                    ? -1
                    : sys::call(SYS_open, sys::arg(path),
                                O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0644);
  (void)sys::call(SYS_write, opened < 0 ? 2 : opened, sys::arg(lines.data()),
                  static_cast<long>(lines.size()));
  if (opened >= 0) {
    (void)sys::call(SYS_close, opened);
  }
}

}  // namespace ramie::base

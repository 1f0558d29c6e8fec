#include "core/thread_activity.h"

#include <fcntl.h>

#include <string_view>

#include "base/deadline.h"
#include "base/format.h"
#include "base/sys.h"
#include "base/text.h"

namespace ramie::core {
namespace {

// "running", or "-1 SP PC", or "NUMBER ARGUMENTS SP PC" with the latter in hexadecimal digits.
Activity parse(std::string_view text) {
  Activity activity;
  if (base::begins_with(text, "running")) {
    activity.call = Activity::kComputes;
    return activity;
  }
  uint64_t value = 0;
  bool is_first = true;
  for (char c : text) {
    if (c == ' ' || c == '\n') {
      if (is_first) {
        activity.call = text[0] == '-' ? Activity::kFault : static_cast<long>(value);
      } else {
        activity.arguments = activity.arguments * 31 + activity.sp;
        activity.sp = activity.pc;
        activity.pc = value;
      }
      is_first = false;
      value = 0;
    } else if (c >= '0' && c <= '9') {
      value = value * (is_first ? 10 : 16) + static_cast<uint64_t>(c - '0');
    } else if (c >= 'a' && c <= 'f') {
      value = value * 16 + static_cast<uint64_t>(c - 'a') + 10;
    } else if (c == 'x') {
      value = 0;
    }
  }
  return activity;
}

}  // namespace

Activity activity_of(int tid) {
  base::Line<64> path;
  path << "/proc/self/task/" << tid << "/syscall" << '\0';
  long fd = sys::call(SYS_open, sys::arg(path.view().data()), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return {};
  }
  char text[256];
  long n = sys::call(SYS_read, fd, sys::arg(text), sizeof text);
  (void)sys::call(SYS_close, fd);
  return n > 0 ? parse({text, static_cast<size_t>(n)}) : Activity{};
}

int64_t cpu_time(int tid) {
  // The kernel's own encoding of a thread's scheduler clock (include/linux/posix-timers.h).
  constexpr int kPerThread = 4;
  constexpr int kSched = 2;
  timespec time{};
  (void)sys::call(SYS_clock_gettime,
                  static_cast<int>(~static_cast<unsigned>(tid) << 3) | kPerThread | kSched,
                  sys::arg(&time));
  return base::to_nanos(time);
}

}  // namespace ramie::core

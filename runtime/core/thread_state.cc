// An open file takes the lowest free number, which the program may just be about to get.  So the
// files are opened by a kernel thread whose descriptor table is its own, and empty (Linux 5.9).  It
// can't be the caller's: carriers that the watchdog starts share the table of their creator.
#include "core/thread_state.h"

#include <fcntl.h>
#include <linux/close_range.h>

#include <string_view>

#include "base/format.h"
#include "base/futex.h"
#include "base/sys.h"
#include "core/kernel_thread.h"

namespace ramie::core {
namespace {

// | word     | written by                    | holds                                |
// |----------|-------------------------------|--------------------------------------|
// | question | the caller; the reader, to 0  | a thread's id, or 0: no question     |
// | answer   | the reader; the caller, to 0  | kSleeps, or kRuns and the processor  |
// |          |                               | more, or 0: none yet                 |
enum : uint32_t { kNone, kSleeps, kRuns };
constinit std::atomic<uint32_t> question = kNone;
constinit std::atomic<uint32_t> answer = kNone;
constinit KernelThread reader;
constinit bool is_there = false;

// man 5 proc, /proc/PID/stat: the state follows the name in brackets, and 36 fields later comes the
// processor.
uint32_t parse(std::string_view stat) {
  size_t name_end = stat.rfind(')');
  if (name_end == std::string_view::npos || name_end + 2 >= stat.size() ||
      stat[name_end + 2] != 'R') {
    return kSleeps;
  }
  size_t at = name_end + 2;
  for (int fields = 36; fields > 0 && at != std::string_view::npos; --fields) {
    at = stat.find(' ', at + 1);
  }
  uint32_t processor = 0;
  while (at != std::string_view::npos && ++at < stat.size() && stat[at] >= '0' && stat[at] <= '9') {
    processor = processor * 10 + static_cast<uint32_t>(stat[at] - '0');
  }
  return kRuns + processor;
}

uint32_t state_of(uint32_t tid) {
  base::Line<64> path;
  path << "/proc/self/task/" << tid << "/stat" << '\0';
  long fd = sys::call(SYS_open, sys::arg(path.view().data()), O_RDONLY | O_CLOEXEC);
  if (fd < 0) {
    return kSleeps;
  }
  char text[1024];
  long n = sys::call(SYS_read, fd, sys::arg(text), sizeof text);
  (void)sys::call(SYS_close, fd);
  return parse(std::string_view(text, n > 0 ? static_cast<size_t>(n) : 0));
}

void read_states(KernelThread&) {
  (void)sys::call(SYS_close_range, 0, ~0U, CLOSE_RANGE_UNSHARE);
  for (;;) {
    uint32_t tid = question.exchange(kNone, std::memory_order_acquire);
    if (tid == kNone) {
      base::futex_wait(question, kNone);
      continue;
    }
    answer.store(state_of(tid), std::memory_order_release);
    base::futex_wake(answer, 1);
  }
}

}  // namespace

bool are_processors_told() {
  if (!is_there) {
    reader.run = read_states;
    is_there = start_kernel_thread(reader) == 0;
  }
  return is_there;
}

int processor_of(int tid) {
  auto asked = static_cast<uint32_t>(tid);
  if (!are_processors_told()) {
    return static_cast<int>(state_of(asked)) - static_cast<int>(kRuns);
  }
  answer.store(kNone, std::memory_order_relaxed);
  question.store(asked, std::memory_order_release);
  base::futex_wake(question, 1);
  uint32_t said;
  while ((said = answer.load(std::memory_order_acquire)) == kNone) {
    base::futex_wait(answer, kNone);
  }
  return static_cast<int>(said) - static_cast<int>(kRuns);
}

void reset_thread_state_after_fork() {
  is_there = false;
  reader.tid.store(0, std::memory_order_relaxed);
  question.store(kNone, std::memory_order_relaxed);
}

}  // namespace ramie::core

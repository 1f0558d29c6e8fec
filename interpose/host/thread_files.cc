// What the kernel says of the caller's kernel thread, as it is at the open, with what is known of
// the hosted thread in its places: its id and name, its signals, its processor time.
#include "interpose/host/thread_files.h"

#include <fcntl.h>
#include <linux/memfd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>

#include "base/format.h"
#include "base/proc_files.h"
#include "base/sys.h"
#include "base/text.h"
#include "core/carrier.h"
#include "interpose/host/cpu_clocks.h"
#include "interpose/host/names.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

using std::string_view;

constexpr string_view kFiles[] = {"comm", "stat", "status", "schedstat"};

struct Wanted {
  int tid = 0;  // 0: no such file
  string_view file;
};

string_view known_file(string_view name) {
  for (string_view file : kFiles) {
    if (name == file) {
      return file;
    }
  }
  return {};
}

Wanted parse(string_view path) {
  Wanted wanted;
  if (base::skip(path, "/proc/thread-self/")) {
    const Thread* self = current_thread();
    wanted.tid = self != nullptr ? self->tid : 0;
  } else if (base::skip(path, "/proc/") &&
             (base::skip(path, "self") ||
              base::take_number(path) == static_cast<uint64_t>(sys::getpid())) &&
             base::skip(path, "/task/")) {
    uint64_t id = base::take_number(path);
    wanted.tid = id <= INT32_MAX && base::skip(path, "/") ? static_cast<int>(id) : 0;
  }
  wanted.file = known_file(path);
  return wanted.file.empty() ? Wanted{} : wanted;
}

// What is shown of a thread.
struct Facts {
  ThreadName name;
  bool runs = false;
  uint64_t pending = 0;
  uint64_t blocked = 0;
};

bool find_facts(int tid, Facts& facts) {
  if (!find_name(tid, facts.name)) {
    return false;
  }
  LiveThreads threads;
  const Thread* thread = LiveThreads::find(tid);
  if (thread != nullptr) {
    uint64_t state = thread->fiber->state.load(std::memory_order_relaxed);
    facts.runs = core::Fiber::phase_of(state) != core::Phase::parked;
    facts.pending = thread->pending.load(std::memory_order_relaxed);
    facts.blocked = thread->blocked.load();
  }
  return thread != nullptr;
}

class File {
 public:
  explicit File(int fd) : fd_(fd) {}

  void write(string_view text) {
    (void)sys::call(SYS_write, fd_, sys::arg(text.data()), static_cast<long>(text.size()));
  }

 private:
  int fd_;
};

// The first `count` fields, each with the blank behind it, are taken off the front of `text`.
string_view take_fields(string_view& text, int count) {
  size_t end = 0;
  while (count > 0 && end < text.size()) {
    count -= text[end] == ' ' ? 1 : 0;
    ++end;
  }
  string_view fields = base::first(text, end);
  text.remove_prefix(end);
  return fields;
}

// "pid (comm) state ..."; the fourteenth and the fifteenth are the times, of which all is the
// user's.
void write_stat(File& file, string_view text, int tid, const Facts& facts, int64_t nanos) {
  constexpr int64_t kTick = 10'000'000;
  text.remove_prefix(std::min(text.rfind(") ") + 4, text.size()));
  base::Line<64> head;
  head << tid << " (" << facts.name.text << ") " << (facts.runs ? 'R' : 'S') << ' ';
  base::Line<64> times;
  times << nanos / kTick << " 0 ";
  file.write(head.view());
  file.write(take_fields(text, 10));
  file.write(times.view());
  (void)take_fields(text, 2);
  file.write(text);
}

void write_set(base::Line<128>& line, string_view label, uint64_t set) {
  line << label;
  for (int shift = 60; shift >= 0; shift -= 4) {
    line << "0123456789abcdef"[set >> shift & 15];
  }
}

// The line that stands in the place of `old`; false: that one stays.
bool replace_line(string_view old, int tid, const Facts& facts, base::Line<128>& line) {
  if (base::begins_with(old, "Name:\t")) {
    line << "Name:\t" << facts.name.text;
  } else if (base::begins_with(old, "State:\t")) {
    line << "State:\t" << (facts.runs ? "R (running)" : "S (sleeping)");
  } else if (base::begins_with(old, "Pid:\t")) {
    line << "Pid:\t" << tid;
  } else if (base::begins_with(old, "NSpid:\t")) {
    line << "NSpid:\t" << tid;
  } else if (base::begins_with(old, "SigPnd:\t")) {
    write_set(line, "SigPnd:\t", facts.pending);
  } else if (base::begins_with(old, "SigBlk:\t")) {
    write_set(line, "SigBlk:\t", facts.blocked);
  } else {
    return false;
  }
  return true;
}

void write_status(File& file, string_view text, int tid, const Facts& facts) {
  while (!text.empty()) {
    string_view line = base::first(text, text.find('\n'));
    text.remove_prefix(std::min(line.size() + 1, text.size()));
    base::Line<128> ours;
    if (!replace_line(line, tid, facts, ours)) {
      file.write(line);
      file.write("\n");
    } else {
      file.write(ours.ended());
    }
  }
}

// Time on the processor, time in wait for it, and turns.
void write_schedstat(File& file, string_view text, int64_t nanos) {
  base::Line<64> first;
  first << nanos << ' ';
  (void)take_fields(text, 1);
  file.write(first.view());
  file.write(text);
}

bool write_content(int fd, const Wanted& wanted) {
  base::Line<64> path;
  path << "/proc/thread-self/" << wanted.file << '\0';
  char text[4096];
  string_view kernels = base::read_file(path.view().data(), text, sizeof text);
  Facts facts;
  int64_t nanos = 0;
  if (!find_facts(wanted.tid, facts)) {
    return false;
  }
  File file(fd);
  if (wanted.file == "status") {
    write_status(file, kernels, wanted.tid, facts);
    return true;
  }
  if (!read_thread_clock(wanted.tid, nanos)) {
    return false;
  }
  if (wanted.file == "stat") {
    write_stat(file, kernels, wanted.tid, facts, nanos);
  } else {
    write_schedstat(file, kernels, nanos);
  }
  return true;
}

// -ENOENT if the thread has ended.
long make_file(const Wanted& wanted, long flags) {
  if (wanted.file == "comm") {
    return open_name(wanted.tid, flags);
  }
  if ((flags & O_ACCMODE) != O_RDONLY) {
    return -EACCES;
  }
  base::Line<64> name;
  name << "ramie-" << wanted.file << '\0';
  long fd = sys::call(SYS_memfd_create, sys::arg(name.view().data()), MFD_CLOEXEC);
  if (sys::failed(fd)) {
    return fd;
  }
  long result = write_content(static_cast<int>(fd), wanted)
                    ? open_once_more(static_cast<int>(fd), flags)
                    : -ENOENT;
  (void)sys::call(SYS_close, fd);
  return result;
}

// The kernel's own for the first thread, which any kernel thread may run.
long open_kernels(const Wanted& wanted, long flags) {
  base::Line<64> path;
  path << "/proc/self/task/" << wanted.tid << '/' << wanted.file << '\0';
  return sys::call(SYS_open, sys::arg(path.view().data()), flags);
}

}  // namespace

long open_thread_file(const char* path, long flags, long result) {
  bool is_opened = !sys::failed(result);
  if (!is_opened && result != -ENOENT) {
    return result;
  }
  // The kernel has read the path, so it can be read here.
  constexpr size_t kLongest = sizeof "/proc/1234567/task/1234567890/schedstat";
  string_view text(path, strnlen(path, kLongest));
  if (!base::begins_with(text, is_opened ? "/proc/thread-self/" : "/proc/")) {
    return result;
  }
  Wanted wanted = parse(text);
  bool is_virtual = is_virtual_tid(wanted.tid);
  if (wanted.tid == 0 || (!is_opened && !is_virtual)) {
    return result;
  }
  if (is_opened) {
    (void)sys::call(SYS_close, result);  // the next one gets this number, which is free by now
  }
  return is_virtual ? make_file(wanted, flags) : open_kernels(wanted, flags);
}

}  // namespace ramie::host

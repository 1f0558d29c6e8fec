// A name is read from a memfd that holds it as it was at the open.  One that may be written to
// bears the thread's id in its own name, so that a write finds the thread without a table.
#include "interpose/host/names.h"

#include <fcntl.h>
#include <linux/memfd.h>
#include <sys/prctl.h>

#include <algorithm>
#include <cstring>
#include <string_view>

#include "base/format.h"
#include "base/sys.h"
#include "base/text.h"
#include "core/carrier.h"
#include "interpose/host/binding.h"
#include "interpose/host/native_names.h"
#include "interpose/host/thread.h"
#include "interpose/ops/descriptor_hints.h"

namespace ramie::host {
namespace {

using std::string_view;

constexpr string_view kFileName = "ramie-comm-";

long write_file(int fd, const ThreadName& name) {
  base::Line<32> text;
  text << name.text << '\n';
  return sys::call(SYS_pwrite64, fd, sys::arg(text.view().data()),
                   static_cast<long>(text.view().size()), 0);
}

// prctl is about the calling kernel thread.
long open_name_of(int kernel_tid, long flags) {
  base::Line<64> path;
  path << "/proc/self/task/" << kernel_tid << "/comm" << '\0';
  return sys::call(SYS_open, sys::arg(path.view().data()), flags | O_CLOEXEC);
}

bool is_here(int kernel_tid) { return core::current()->carrier->kernel_tid == kernel_tid; }

// RAMIE_NATIVE has its new name, and hadn't the old one; or the other way round.
void follow_name(Thread& thread, int tid) {
  Change change{Change::kNoCall, nullptr, 0, "RAMIE_NATIVE has its name"};
  (void)change_thread(thread, tid, change);
}

}  // namespace

ThreadName name_of(const Thread& self) {
  ThreadName name;
  memcpy(name.text, self.fiber->name, sizeof name.text);
  if (&self != first_thread()) {
    return name;
  }
  if (is_here(self.tid)) {
    (void)sys::call(SYS_prctl, PR_GET_NAME, sys::arg(name.text));
    return name;
  }
  long fd = open_name_of(self.tid, O_RDONLY);
  if (fd >= 0) {
    char text[sizeof name.text + 1];
    long n = sys::call(SYS_read, fd, sys::arg(text), sizeof text);
    (void)sys::call(SYS_close, fd);
    if (n > 0) {
      name = make_name(text, static_cast<size_t>(n - 1));  // it ends with a newline
    }
  }
  return name;
}

void show_name(int kernel_tid, const char* name) {
  if (is_here(kernel_tid)) {
    (void)sys::call(SYS_prctl, PR_SET_NAME, sys::arg(name));
    return;
  }
  long fd = open_name_of(kernel_tid, O_WRONLY);
  if (!sys::failed(fd)) {  // else the fiber has it, which is what the program sees
    (void)sys::call(SYS_write, fd, sys::arg(name), static_cast<long>(strlen(name)));
    (void)sys::call(SYS_close, fd);
  }
}

bool rename_thread(int tid, const ThreadName& name) {
  constexpr uint8_t kAll = 0xff;
  uint8_t off = is_native_thread_name(name.text) ? kAll : 0;
  Thread* thread = nullptr;
  bool follows = false;
  {
    LiveThreads threads;
    thread = LiveThreads::find(tid);
    if (thread == nullptr) {
      return false;
    }
    memcpy(thread->fiber->name, name.text, sizeof name.text);
    follows = thread->families_off.exchange(off, std::memory_order_relaxed) != off;
  }
  if (int kernel_tid = own_kernel_tid(*thread, tid); kernel_tid != 0) {
    show_name(kernel_tid, name.text);
  }
  if (follows) {
    follow_name(*thread, tid);
  }
  return true;
}

ThreadName make_name(const char* text, size_t length) {
  ThreadName name;
  memcpy(name.text, text, strnlen(text, std::min(length, sizeof name.text - 1)));
  return name;
}

long open_once_more(int fd, long flags) {
  base::Line<64> path;
  path << "/proc/self/fd/" << fd << '\0';
  return sys::call(SYS_open, sys::arg(path.view().data()), flags & (O_ACCMODE | O_CLOEXEC));
}

long open_name(int tid, long flags) {
  ThreadName name;
  if (!find_name(tid, name)) {
    return -ENOENT;
  }
  base::Line<32> file;
  file << kFileName << tid << '\0';
  long close_on_exec = (flags & O_CLOEXEC) != 0 ? MFD_CLOEXEC : 0;
  long fd = sys::call(SYS_memfd_create, sys::arg(file.view().data()), close_on_exec);
  if (sys::failed(fd)) {
    return fd;
  }
  if (long written = write_file(static_cast<int>(fd), name); sys::failed(written)) {
    (void)sys::call(SYS_close, fd);
    return written;
  }
  if ((flags & O_ACCMODE) != O_RDWR) {
    long only = open_once_more(static_cast<int>(fd), flags);
    (void)sys::call(SYS_close, fd);
    if (sys::failed(only)) {
      return only;
    }
    fd = only;
  }
  if ((flags & O_ACCMODE) != O_RDONLY) {
    ops::descriptor_hints.set(static_cast<int>(fd), ops::Direction::write, ops::Way::thread_name);
  }
  return fd;
}

long write_name(int fd, const char* text, size_t length) {
  base::Line<64> link;
  link << "/proc/self/fd/" << fd << '\0';
  char target[64];
  long n = sys::call(SYS_readlink, sys::arg(link.view().data()), sys::arg(target), sizeof target);
  string_view rest(target, n > 0 ? static_cast<size_t>(n) : 0);
  if (!base::skip(rest, "/memfd:") || !base::skip(rest, kFileName)) {
    return -EBADF;  // the hint was wrong: some other file
  }
  ThreadName name = make_name(text, length);
  if (!rename_thread(static_cast<int>(base::take_number(rest)), name)) {
    return -ESRCH;
  }
  (void)sys::call(SYS_ftruncate, fd, 0);
  (void)write_file(fd, name);
  return static_cast<long>(length);
}

}  // namespace ramie::host

#include "interpose/host/signalfds.h"

#include <sys/stat.h>

#include <cstring>
#include <string_view>

#include "base/format.h"
#include "base/proc_files.h"
#include "base/sys.h"
#include "base/text.h"
#include "interpose/host/hosting.h"
#include "interpose/host/signal_delivery.h"
#include "interpose/host/thread.h"

namespace ramie::host {
namespace {

// Most descriptors are files of a type, which is sooner told than what a link in /proc says.
bool has_type(int fd) {
  struct stat status;
  return sys::call(SYS_fstat, fd, sys::arg(&status)) != 0 || (status.st_mode & S_IFMT) != 0;
}

bool is_signalfd(int fd) {
  if (has_type(fd)) {
    return false;
  }
  constexpr std::string_view kTarget = "anon_inode:[signalfd]";
  base::Line<64> link;
  link << "/proc/self/fd/" << fd << '\0';
  char target[kTarget.size() + 1];
  long n = sys::call(SYS_readlink, sys::arg(link.view().data()), sys::arg(target), sizeof target);
  return n > 0 && std::string_view(target, static_cast<size_t>(n)) == kTarget;
}

// All descriptors are below this.
int descriptors_end() {
  constexpr std::string_view kLabel = "FDSize:\t";
  char text[4096];
  std::string_view status = base::read_file("/proc/self/status", text, sizeof text);
  size_t at = status.find(kLabel);
  if (at == std::string_view::npos) {
    return 0;
  }
  status.remove_prefix(at + kLabel.size());
  return static_cast<int>(base::take_number(status));
}

// The signals for which it looks; 0 if it is another kind of descriptor.
uint64_t signals_of(int fd) {
  if (!is_signalfd(fd)) {
    return 0;
  }
  base::Line<64> path;
  path << "/proc/self/fdinfo/" << fd << '\0';
  char text[512];
  uint64_t signals = 0;
  (void)base::find_signals(base::read_file(path.view().data(), text, sizeof text), "sigmask:\t",
                           signals);
  return signals;
}

uint64_t signals_of_received(const cmsghdr& header) {
  uint64_t signals = 0;
  const unsigned char* data = CMSG_DATA(&header);
  for (size_t at = 0; CMSG_LEN(at + sizeof(int)) <= header.cmsg_len; at += sizeof(int)) {
    int fd;
    memcpy(&fd, data + at, sizeof fd);
    signals |= signals_of(fd);
  }
  return signals;
}

}  // namespace

// Not by a list of /proc/self/fd, for which the kernel makes something of each.
uint64_t signals_looked_for() {
  uint64_t signals = 0;
  int end = descriptors_end();
  for (int fd = 0; fd < end; ++fd) {
    signals |= signals_of(fd);
  }
  return signals;
}

void note_received(const msghdr& message) {
  if (!is_hosting()) {
    return;
  }
  uint64_t signals = 0;
  for (const cmsghdr* header = CMSG_FIRSTHDR(&message); header != nullptr;
       header = CMSG_NXTHDR(const_cast<msghdr*>(&message), const_cast<cmsghdr*>(header))) {
    if (header->cmsg_level == SOL_SOCKET && header->cmsg_type == SCM_RIGHTS) {
      signals |= signals_of_received(*header);
    }
  }
  if (signals != 0) {
    show_to_signalfd(current_thread(), signals);
  }
}

}  // namespace ramie::host

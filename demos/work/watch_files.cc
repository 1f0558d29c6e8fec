// Says what comes and goes in a folder, until Ctrl-C: an inotify descriptor and the signals are
// waited for together, and other fibers run meanwhile.
//
//   watch_files [FOLDER]      the current one unless told
#include <ramie/io.h>
#include <ramie/readiness.h>
#include <ramie/signal.h>
#include <ramie/wait.h>
#include <sys/inotify.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstdio>
#include <cstring>
#include <exception>
#include <system_error>

#include "demos/command_line.h"

namespace {

int checked(int result, const char* what) {
  if (result < 0) {
    throw std::system_error(errno, std::generic_category(), what);
  }
  return result;
}

void say(const inotify_event& event) {
  const char* what = (event.mask & (IN_CREATE | IN_MOVED_TO)) != 0 ? "new" : "gone";
  std::printf("%s: %s\n", what, event.name);
}

// What the descriptor holds; it is ready, so this doesn't block.
void say_all(int descriptor) {
  alignas(inotify_event) std::array<char, 16 * 1024> buffer;
  ssize_t size =
      checked(static_cast<int>(::read(descriptor, buffer.data(), buffer.size())), "read");
  for (ssize_t at = 0; at < size;) {
    const auto& event = *reinterpret_cast<const inotify_event*>(buffer.data() + at);
    say(event);
    at += static_cast<ssize_t>(sizeof event + event.len);
  }
}

}  // namespace

int main(int argc, char** argv) try {
  const char* folder = argc > 1 ? argv[1] : ".";
  int descriptor = checked(::inotify_init1(IN_CLOEXEC), "inotify");
  checked(
      ::inotify_add_watch(descriptor, folder, IN_CREATE | IN_MOVED_TO | IN_DELETE | IN_MOVED_FROM),
      folder);
  ramie::signal_waiter stop({SIGINT, SIGTERM});
  std::setvbuf(stdout, nullptr, _IOLBF, 0);
  std::printf("watching %s\n", folder);
  for (;;) {
    ramie::readiness changed(descriptor, ramie::io::readable);
    if (ramie::wait_any(changed, stop) == 1) {
      std::printf("%s: stopping\n", ::strsignal(stop.wait()));
      return 0;
    }
    say_all(descriptor);
  }
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}

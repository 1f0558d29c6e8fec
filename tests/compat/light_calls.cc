// Light fibers in a program that the preload serves: the blocking calls which they make by name,
// and the main flow's, switch; so do threads that the program makes besides.
#include <poll.h>
#include <ramie/fiber.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <thread>

namespace {

int ends[2];

void write_later(char what) {
  usleep(100'000);
  (void)!write(ends[1], &what, 1);
}

char read_one() {
  char what = '-';
  return read(ends[0], &what, 1) == 1 ? what : '?';
}

}  // namespace

int main() {
  socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  long ticks = 0;
  std::atomic<bool> stop = false;
  auto ticker = ramie::spawn([&] {
    for (; !stop; ++ticks) {
      errno = EDOM;
      usleep(1'000);
    }
    return errno;
  });
  auto said = [&](const char* who, char what) {
    std::printf("%s got %c while others %s\n", who, what, ticks > 10 ? "ran" : "stood still");
    ticks = 0;
  };

  auto first = ramie::spawn(write_later, 'a');
  said("main", read_one());

  auto second = ramie::spawn(write_later, 'b');
  auto reader = ramie::spawn(read_one);
  char what = reader.get();
  said("a fiber", what);

  std::thread thread(write_later, 'c');
  pollfd watched{ends[0], POLLIN, 0};
  (void)poll(&watched, 1, -1);
  said("main, from a thread,", read_one());
  thread.join();

  stop = true;
  std::printf("errno %s\n", ticker.get() == EDOM ? "stayed" : "was lost");
}

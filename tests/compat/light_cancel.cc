// Light fibers in a program that the preload serves: cancel() and time-out scopes end the blocking
// calls that they make by name, which then fail with ECANCELED; the next wait of the API throws.
#include <netinet/in.h>
#include <poll.h>
#include <ramie/fiber.h>
#include <ramie/timeout.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <stdexcept>
#include <thread>

namespace {

using namespace std::chrono_literals;

int ends[2];

const char* outcome(long result) { return result < 0 ? std::strerror(errno) : "success"; }

int bound_socket() {
  int fd = ::socket(AF_INET, SOCK_STREAM, 0);
  sockaddr_in any{};
  any.sin_family = AF_INET;
  any.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  (void)!::bind(fd, reinterpret_cast<sockaddr*>(&any), sizeof any);
  (void)!::listen(fd, 1);
  return fd;
}

template <class Call>
void check(const char* name, Call call) {
  auto by_cancel = ramie::spawn([&] {
    const char* how = outcome(call());
    bool threw = false;
    try {
      ramie::sleep_for(1h);
    } catch (const ramie::cancelled&) {
      threw = true;
    }
    std::printf("%s, cancelled: %s, then %s\n", name, how, threw ? "thrown" : "not thrown");
  });
  ramie::sleep_for(5ms);
  by_cancel.cancel();
  by_cancel.get();
  ramie::spawn([&] {
    ramie::timeout limit(5ms);
    const char* how = outcome(call());
    bool threw = false;
    try {
      ramie::yield();
    } catch (const ramie::timeout_error& error) {
      threw = limit.owns(error);
    }
    std::printf("%s, timed out: %s, then %s\n", name, how, threw ? "thrown" : "not thrown");
  }).get();
}

struct Waits {
  ~Waits() { ramie::sleep_for(1ms); }
};

// On a hosted thread, whose exceptions are its own.
void check_unwinding() {
  std::thread([] {
    ramie::timeout limit(0ms);
    try {
      Waits waits;
      throw std::runtime_error("thrown");
    } catch (const std::runtime_error& error) {
      std::printf("while another exception is on its way: %s alone\n", error.what());
    }
  }).join();
}

}  // namespace

int main() {
  socketpair(AF_UNIX, SOCK_STREAM, 0, ends);
  int door = bound_socket();
  check("read", [] {
    char byte;
    return read(ends[0], &byte, 1);
  });
  check("recv", [] {
    char byte;
    return recv(ends[0], &byte, 1, 0);
  });
  check("poll", [] {
    pollfd one{ends[0], POLLIN, 0};
    return poll(&one, 1, -1);
  });
  check("select", [] {
    fd_set set;
    FD_ZERO(&set);
    FD_SET(ends[0], &set);
    return select(ends[0] + 1, &set, nullptr, nullptr, nullptr);
  });
  check("accept", [&] { return accept(door, nullptr, nullptr); });
  check_unwinding();
  // Afterwards all is as before.
  ramie::spawn([] { (void)!write(ends[1], "x", 1); }).detach();
  char byte = '-';
  const char* how = outcome(read(ends[0], &byte, 1));
  std::printf("read: %s %c\n", how, byte);
}

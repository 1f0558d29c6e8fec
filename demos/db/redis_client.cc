// 1,000 fibers talk to Redis at the same time, each by a connection of its own.
//
//   redis_client [REDIS_PORT] [FIBERS]      6379 and 1000 unless told
//
// Start a Redis by `redis-server --port 6379`.  hiredis knows blocking sockets only: a call sleeps
// in read() until the answer is there.  Here every second fiber waits in BLPOP for what the one
// next to it pushes later; on one kernel thread that works only because a fiber that sleeps in a
// library lets the others run.
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/latch.h>
#include <sys/resource.h>
#include <unistd.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <string>

#include "demos/command_line.h"
#include "demos/db/redis.h"

namespace {

// Each connection is a descriptor; as many as we may have.
void raise_descriptor_limit() {
  rlimit limit{};
  if (getrlimit(RLIMIT_NOFILE, &limit) == 0) {
    limit.rlim_cur = limit.rlim_max;
    setrlimit(RLIMIT_NOFILE, &limit);
  }
}

class Meeting {
 public:
  Meeting(int redis_port, int fibers)
      : port_(redis_port),
        fibers_(fibers),
        here_(fibers),
        prefix_("ramie:" + std::to_string(getpid())) {}

  void take_part(int number) {
    demo::redis redis(port_);
    redis.command("INCR %s:visits", prefix_.c_str());
    here_.count_down();
    counted_.wait();
    if (number % 2 == 0) {
      auto heard = redis.command("BLPOP %s:%d 0", prefix_.c_str(), number);
      if (std::atoi(heard->element[1]->str) == number) ++passed_;
    } else {
      redis.command("RPUSH %s:%d %d", prefix_.c_str(), number - 1, number - 1);
    }
  }

  void count() {
    demo::redis redis(port_);
    here_.wait();  // Everybody is connected now, and nobody has gone yet.
    auto info = redis.command("INFO clients");
    std::printf("Redis has %d clients, %d of them ours\n",
                std::atoi(std::strstr(info->str, "connected_clients:") + 18), fibers_ + 2);
    counted_.count_down();
  }

  void hold() {
    demo::redis redis(port_);  // The first one says whether there is a Redis at all.
    {
      ramie::group everybody;
      everybody.spawn(&Meeting::count, this);
      for (int i = 0; i < fibers_; ++i) everybody.spawn(&Meeting::take_part, this, i);
    }
    auto visits = redis.command("GET %s:visits", prefix_.c_str());
    redis.command("DEL %s:visits", prefix_.c_str());
    std::printf("%s visits counted, %d of %d messages passed on\n", visits->str, passed_,
                fibers_ / 2);
  }

 private:
  const int port_;
  const int fibers_;
  ramie::latch here_;
  ramie::latch counted_{1};
  const std::string prefix_;
  int passed_ = 0;  // The fibers share a kernel thread, and take turns where they wait only.
};

}  // namespace

int main(int argc, char** argv) try {
  const int port = argc > 1 ? std::atoi(argv[1]) : 6379;
  const int fibers = argc > 2 ? std::atoi(argv[2]) & ~1 : 1000;
  raise_descriptor_limit();
  const auto begin = std::chrono::steady_clock::now();
  Meeting(port, fibers).hold();
  const std::chrono::duration<double> took = std::chrono::steady_clock::now() - begin;
  std::printf("%d fibers: %.2f s\n", fibers, took.count());
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}

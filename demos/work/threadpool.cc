// What would hold up all fibers, a computation or a library's call that blocks, on kernel threads
// of its own: offload() and offload_pool, while a fiber that ticks shows that the others go on.
//
//   threadpool [LIMIT]        counts the primes below it; 2,000,000 unless told
#include <ramie/fiber.h>
#include <ramie/group.h>
#include <ramie/map.h>
#include <ramie/offload.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <exception>
#include <numeric>
#include <stdexcept>
#include <thread>
#include <vector>

#include "demos/command_line.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

bool is_prime(int number) {
  for (int divisor = 2; divisor <= number / divisor; ++divisor) {
    if (number % divisor == 0) {
      return false;
    }
  }
  return number > 1;
}

// Counts in 50 parts, on as many threads as there are processors.
int count_primes(int limit) {
  constexpr int kParts = 50;
  ramie::offload_pool threads(std::max(std::thread::hardware_concurrency(), 1U));
  std::vector<int> parts(kParts);
  std::iota(parts.begin(), parts.end(), 0);
  ramie::group fibers;
  std::vector<int> found = ramie::map(
      fibers,
      [&](int part) {
        return threads.run([&] {
          int primes = 0;
          for (int number = part; number < limit; number += kParts) {
            primes += is_prime(number) ? 1 : 0;
          }
          return primes;
        });
      },
      parts);
  return std::accumulate(found.begin(), found.end(), 0);
}

}  // namespace

int main(int argc, char** argv) try {
  const int limit = demo::number(argc, argv, 1, 2'000'000);
  int ticks = 0;
  ramie::fiber<void> ticker = ramie::spawn([&] {
    for (;; ++ticks) {
      ramie::sleep_for(1ms);
    }
  });

  std::printf("%d primes below %d\n", count_primes(limit), limit);
  std::printf("meanwhile the ticks of a fiber: %d\n", ticks);

  // Calls that block, fifty of them, each a tenth of a second.
  const Clock::time_point begin = Clock::now();
  {
    ramie::group blocking;
    for (int i = 0; i < 50; ++i) {
      blocking.spawn([] { ramie::offload([] { ::usleep(100'000); }); });
    }
  }
  const std::chrono::duration<double> took = Clock::now() - begin;
  std::printf("50 calls that block for 0.1 s: %.2f s\n", took.count());

  try {
    ramie::offload([] { throw std::runtime_error("thrown on a thread, caught on a fiber"); });
  } catch (const std::runtime_error& error) {
    std::printf("%s\n", error.what());
  }
  ticker.cancel();
  ticker.join();
  return 0;
} catch (const std::exception& error) {
  return demo::failed(argv[0], error);
}

// Trees and heaps of light fibers that are there to be spread over the CPUs, as plain/forks.c makes
// them of threads.
//
//   forks skynet LEAVES CARRIERS
//   forks tasks N ITERATIONS CARRIERS
//
// skynet: a tree in which each fiber spawns ten and adds up their numbers.  tasks: one fiber spawns
// N that each compute so many steps.  LEAVES is a power of ten.
#include <ramie/carriers.h>
#include <ramie/fiber.h>

#include <array>
#include <atomic>
#include <vector>

#include "figures.h"

namespace ramie::bench {
namespace {

constexpr int kChildren = 10;

void use(const char* count) {
  const auto wanted = static_cast<unsigned>(count_of(count));
  if (use_carriers(wanted) != wanted) {
    fail("forks", "so many carriers can't be had");
  }
}

long add_up(long first, long leaves) {
  if (leaves == 1) {
    return first;
  }
  std::array<fiber<long>, kChildren> parts;
  const long each = leaves / kChildren;
  for (int i = 0; i < kChildren; ++i) {
    parts[i] = spawn(add_up, first + i * each, each);
  }
  long sum = 0;
  for (fiber<long>& part : parts) {
    sum += part.get();
  }
  return sum;
}

void measure_skynet(char** arguments) {
  const long leaves = count_of(arguments[0]);
  use(arguments[1]);
  const Moment begin = now();
  const long sum = spawn(add_up, 0L, leaves).get();
  tell_whole("skynet", begin);
  if (sum != leaves * (leaves - 1) / 2) {
    fail("skynet", "the sum is wrong");
  }
}

// As in plain/forks.c.
unsigned long compute(long iterations) {
  unsigned long x = 88172645463325252U;
  for (long i = 0; i < iterations; ++i) {
    x ^= x << 13U;
    x ^= x >> 7U;
    x ^= x << 17U;
  }
  return x;
}

void measure_tasks(char** arguments) {
  const long count = count_of(arguments[0]);
  const long iterations = count_of(arguments[1]);
  use(arguments[2]);
  const unsigned long expected = compute(iterations);
  std::atomic<long> right = 0;
  const Moment begin = now();
  spawn([&] {
    std::vector<fiber<void>> tasks;
    tasks.reserve(count);
    for (long i = 0; i < count; ++i) {
      tasks.push_back(spawn([&] {
        if (compute(iterations) == expected) {
          right.fetch_add(1, std::memory_order_relaxed);
        }
      }));
    }
    for (fiber<void>& task : tasks) {
      task.join();
    }
  }).join();
  tell_whole("tasks", begin);
  if (right != count) {
    fail("tasks", "some were computed wrongly");
  }
}

}  // namespace
}  // namespace ramie::bench

int main(int argc, char** argv) {
  using namespace ramie::bench;
  static const Measurement kKnown[] = {{"skynet", 2, measure_skynet}, {"tasks", 3, measure_tasks}};
  return run_measurement(argc, argv, kKnown, 2);
}

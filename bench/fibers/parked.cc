// What fibers cost that wait.
//
//   parked light|boost memory N         N fibers wait, are woken and joined
//   parked light|boost sleeps N MOST_US N fibers sleep once, each a random time below MOST_US
#include <chrono>
#include <string_view>
#include <vector>

#include "fiber_kinds.h"
#include "figures.h"

namespace ramie::bench {
namespace {

template <class Kind>
void join_all(std::vector<typename Kind::Fiber>& fibers) {
  for (auto& fiber : fibers) {
    fiber.join();
  }
}

template <class Kind>
Parking park(long count) {
  typename Kind::Gate gate;
  long arrived = 0;
  std::vector<typename Kind::Fiber> fibers(static_cast<std::size_t>(count));
  Parking is = {};
  is.before = memory_now();
  is.begin = now();
  for (auto& fiber : fibers) {
    fiber = Kind::spawn([&] {
      ++arrived;
      gate.wait();
    });
  }
  while (arrived < count) {
    Kind::yield();
  }
  is.parked = now();
  is.after = memory_now();
  gate.open();
  join_all<Kind>(fibers);
  is.ended = now();
  return is;
}

template <class Kind>
void measure_memory(char** arguments) {
  tell_parked(park<Kind>, count_of(arguments[0]));
}

template <class Kind>
void measure_sleeps(char** arguments) {
  const long count = count_of(arguments[0]);
  const auto most_us = static_cast<std::uint64_t>(count_of(arguments[1]));
  std::vector<typename Kind::Fiber> fibers;
  fibers.reserve(static_cast<std::size_t>(count));
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    std::uint64_t seed = static_cast<std::uint64_t>(i) + 1;
    const auto time = std::chrono::microseconds(random_below(&seed, most_us));
    fibers.push_back(Kind::spawn([time] { Kind::sleep_for(time); }));
  }
  join_all<Kind>(fibers);
  tell_whole("sleeps", begin);
}

template <class Kind>
int run(int argc, char** argv) {
  static const Measurement kKnown[] = {{"memory", 1, measure_memory<Kind>},
                                       {"sleeps", 2, measure_sleeps<Kind>}};
  return run_measurement(argc, argv, kKnown, 2);
}

}  // namespace
}  // namespace ramie::bench

int main(int argc, char** argv) {
  using namespace ramie::bench;
  const std::string_view kind = argc > 1 ? argv[1] : "";
  return kind == "boost" ? run<BoostFiber>(argc - 1, argv + 1) : run<Light>(argc - 1, argv + 1);
}

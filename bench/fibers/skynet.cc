// A tree in which each fiber spawns ten and adds up their numbers; LEAVES is a power of ten.
//
//   skynet light LEAVES | skynet boost LEAVES
#include <array>

#include "fiber_kinds.h"
#include "figures.h"

namespace ramie::bench {
namespace {

constexpr int kChildren = 10;

template <class Kind>
long add_up(long first, long leaves) {
  if (leaves == 1) {
    return first;
  }
  std::array<long, kChildren> sums{};
  std::array<typename Kind::Fiber, kChildren> fibers;
  const long each = leaves / kChildren;
  for (int i = 0; i < kChildren; ++i) {
    fibers[i] = Kind::spawn_now(
        [&sums, first, each, i] { sums[i] = add_up<Kind>(first + i * each, each); });
  }
  long sum = 0;
  for (int i = 0; i < kChildren; ++i) {
    fibers[i].join();
    sum += sums[i];
  }
  return sum;
}

template <class Kind>
void measure(char** arguments) {
  const long leaves = count_of(arguments[0]);
  const Moment begin = now();
  long sum = 0;
  Kind::spawn([&] { sum = add_up<Kind>(0, leaves); }).join();
  tell_whole("skynet", begin);
  if (sum != leaves * (leaves - 1) / 2) {
    fail("skynet", "the sum is wrong");
  }
}

}  // namespace
}  // namespace ramie::bench

int main(int argc, char** argv) {
  using namespace ramie::bench;
  static const Measurement kKnown[] = {{"light", 1, measure<Light>},
                                       {"boost", 1, measure<BoostFiber>}};
  return run_measurement(argc, argv, kKnown, 2);
}

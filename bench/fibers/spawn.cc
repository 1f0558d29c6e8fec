// What it costs to spawn a fiber that does nothing and to join it: one after another, where each
// finds what the last one left, and as a burst of many that are joined when all are spawned. A
// burst is cold if it is the process's first, warm if it is the second. One iteration is one fiber,
// so the reported time is ns per fiber.
#include <benchmark/benchmark.h>

#include <boost/context/fiber.hpp>
#include <boost/context/stack_context.hpp>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "fiber_kinds.h"

namespace ramie::bench {
namespace {

constexpr std::int64_t kBurst = 100'000;
constexpr std::int64_t kMiddleBurst = 20'000;  // what kernel threads can do as well
constexpr std::int64_t kSmallBurst = 1000;     // to see that it runs

void check_all_ran(benchmark::State& state, std::int64_t ran) {
  if (ran != state.iterations()) {
    state.SkipWithError("not every fiber has run");
  }
}

template <class Kind>
void one_by_one(benchmark::State& state) {
  std::int64_t ran = 0;
  for (auto _ : state) {
    Kind::spawn([&ran] { ++ran; }).join();
  }
  check_all_ran(state, ran);
}

// The floor: the one stack that there is serves one context after another.
class OneStack {
 public:
  explicit OneStack(char* top) : top_(top) {}
  boost::context::stack_context allocate() {
    boost::context::stack_context stack;
    stack.sp = top_;
    stack.size = kStackSize;
    return stack;
  }
  void deallocate(boost::context::stack_context&) {}

 private:
  char* top_;
};

void raw_one_by_one(benchmark::State& state) {
  auto memory = std::make_unique<char[]>(kStackSize);
  OneStack stack(memory.get() + kStackSize);
  std::int64_t ran = 0;
  for (auto _ : state) {
    boost::context::fiber context(std::allocator_arg, stack, [&ran](boost::context::fiber&& back) {
      ++ran;
      return std::move(back);
    });
    context = std::move(context).resume();
  }
  check_all_ran(state, ran);
}

template <class Kind>
void spawn_and_join(std::vector<typename Kind::Fiber>& fibers, std::int64_t count,
                    std::int64_t& ran) {
  for (std::int64_t i = 0; i < count; ++i) {
    fibers.push_back(Kind::spawn([&ran] { ++ran; }));
  }
  for (auto& fiber : fibers) {
    fiber.join();
  }
  fibers.clear();
}

template <class Kind, int kRoundsBefore>
void burst(benchmark::State& state) {
  std::int64_t count = state.range(0);
  std::int64_t ran = 0;
  std::vector<typename Kind::Fiber> fibers;
  fibers.reserve(static_cast<std::size_t>(count));
  for (int i = 0; i < kRoundsBefore; ++i) {
    spawn_and_join<Kind>(fibers, count, ran);
  }
  ran = 0;
  while (state.KeepRunningBatch(count)) {
    spawn_and_join<Kind>(fibers, count, ran);
  }
  check_all_ran(state, ran);
}

benchmark::internal::Benchmark* measure(const std::string& name,
                                        void (*function)(benchmark::State&)) {
  return benchmark::RegisterBenchmark(name.c_str(), function)
      ->UseRealTime()
      ->MeasureProcessCPUTime();
}

// Of a burst's cost the first in a process is the cold one, so each runs once, in a process that is
// asked for it alone.
template <class Kind>
void measure_bursts(const std::string& kind) {
  for (std::int64_t count : {kBurst, kMiddleBurst, kSmallBurst}) {
    measure(kind + "/cold", burst<Kind, 0>)->Arg(count)->Iterations(count);
    measure(kind + "/warm", burst<Kind, 1>)->Arg(count)->Iterations(count);
  }
}

}  // namespace
}  // namespace ramie::bench

int main(int argc, char** argv) {
  using namespace ramie::bench;
  measure("raw/spawn", raw_one_by_one);
  measure("light/spawn", one_by_one<Light>);
  measure("boost/spawn", one_by_one<BoostFiber>);
  measure_bursts<Light>("light");
  measure_bursts<BoostFiber>("boost");
  benchmark::Initialize(&argc, argv);
  if (benchmark::ReportUnrecognizedArguments(argc, argv)) {
    return 1;
  }
  benchmark::RunSpecifiedBenchmarks();
}

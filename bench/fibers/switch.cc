// What a switch costs: N fibers on one kernel thread take turns, the main flow being one of them.
// One iteration is one switch, so the reported time is ns per switch.
#include <benchmark/benchmark.h>

#include <boost/context/fiber.hpp>
#include <boost/context/fixedsize_stack.hpp>
#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "fiber_kinds.h"

namespace ramie::bench {
namespace {

constexpr std::int64_t kFew = 2;
constexpr std::int64_t kMany = 1000;

// Each pass of the main flow is one turn of every other fiber. A yield that did not switch would
// look very fast; the last pass may be under way when the fibers are counted.
void check_turns(benchmark::State& state, std::int64_t turns, std::int64_t fibers) {
  std::int64_t expected = state.iterations() / fibers * (fibers - 1);
  if (turns < expected - fibers || turns > expected + fibers) {
    state.SkipWithError("a yield did not let every other fiber have its turn");
  }
}

template <class Kind>
void yield(benchmark::State& state) {
  std::int64_t fibers = state.range(0);
  std::int64_t turns = 0;
  bool stop = false;
  std::vector<typename Kind::Fiber> others;
  for (std::int64_t i = 1; i < fibers; ++i) {
    others.push_back(Kind::spawn([&] {
      while (!stop) {
        ++turns;
        Kind::yield();
      }
    }));
  }
  Kind::yield();  // by now each has started
  turns = 0;
  while (state.KeepRunningBatch(fibers)) {
    Kind::yield();
  }
  check_turns(state, turns, fibers);
  stop = true;
  for (auto& fiber : others) {
    fiber.join();
  }
}

// The floor: contexts that resume each other, with nobody to schedule them.
using Context = boost::context::fiber;

template <class F>
Context make_context(F&& body) {
  return {std::allocator_arg, boost::context::fixedsize_stack(kStackSize), std::forward<F>(body)};
}

void raw_pair(benchmark::State& state) {
  std::int64_t turns = 0;
  Context other = make_context([&turns](Context&& resumed_by) -> Context {
    Context back = std::move(resumed_by);
    for (;;) {
      ++turns;
      back = std::move(back).resume();
    }
  });
  while (state.KeepRunningBatch(kFew)) {
    other = std::move(other).resume();
  }
  check_turns(state, turns, kFew);
}

// Each member is resumed by the one before it, whose suspended self it puts back into the ring.
struct Member {
  Context suspended;
  Member* before = nullptr;
  Member* next = nullptr;

  void pass_on() { before->suspended = std::move(next->suspended).resume(); }
};

void raw_ring(benchmark::State& state) {
  std::vector<Member> ring(kMany);
  std::int64_t turns = 0;
  for (std::size_t i = 0; i < ring.size(); ++i) {
    Member& self = ring[i];
    self.next = &ring[(i + 1) % ring.size()];
    self.next->before = &self;
    if (i == 0) {
      continue;  // the main flow
    }
    self.suspended = make_context([&turns, &self](Context&& resumed_by) -> Context {
      self.before->suspended = std::move(resumed_by);
      for (;;) {
        ++turns;
        self.pass_on();
      }
    });
  }
  ring[0].pass_on();  // by now each has started
  turns = 0;
  while (state.KeepRunningBatch(kMany)) {
    ring[0].pass_on();
  }
  check_turns(state, turns, kMany);
}

// The process's CPU time as well: on a machine that does other things too, it is the better
// witness.
BENCHMARK(raw_pair)->Name("raw/2")->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(raw_ring)->Name("raw/1000")->UseRealTime()->MeasureProcessCPUTime();
BENCHMARK(yield<Light>)
    ->Name("light")
    ->Arg(kFew)
    ->Arg(kMany)
    ->UseRealTime()
    ->MeasureProcessCPUTime();
BENCHMARK(yield<BoostFiber>)
    ->Name("boost")
    ->Arg(kFew)
    ->Arg(kMany)
    ->UseRealTime()
    ->MeasureProcessCPUTime();

}  // namespace
}  // namespace ramie::bench

BENCHMARK_MAIN();

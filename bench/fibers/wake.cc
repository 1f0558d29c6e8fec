// What it costs when one wakes another and waits to be woken by it.
//
//   wake light ROUNDS | wake boost ROUNDS   two fibers of one kernel thread
//   wake across ROUNDS                      two light fibers, each on a kernel thread of its own
//   wake thread ROUNDS                      a light fiber and a kernel thread that has no fibers
//   wake crowd CROWD MS                     two light fibers, beside so many that always yield
#include <atomic>
#include <chrono>
#include <thread>
#include <vector>

#include "fiber_kinds.h"
#include "figures.h"

namespace ramie::bench {
namespace {

template <class Baton>
void answer(Baton& ping, Baton& pong, long rounds) {
  for (long i = 0; i < rounds; ++i) {
    ping.take();
    pong.pass();
  }
}

template <class Baton>
void ask(Baton& ping, Baton& pong, long rounds) {
  for (long i = 0; i < rounds; ++i) {
    ping.pass();
    pong.take();
  }
}

template <class Kind>
void measure_same(char** arguments) {
  const long rounds = count_of(arguments[0]);
  typename Kind::Baton ping;
  typename Kind::Baton pong;
  const long all = rounds + rounds / 20 + 1;
  typename Kind::Fiber other = Kind::spawn([&] { answer(ping, pong, all); });
  ask(ping, pong, all - rounds);
  const Moment begin = now();
  ask(ping, pong, rounds);
  tell("wake", begin, 2 * rounds);
  other.join();
}

// The other side is a kernel thread, with or without a fiber on it.
template <bool kOnFiber>
void measure_threads(char** arguments) {
  const long rounds = count_of(arguments[0]);
  Light::Baton ping;
  Light::Baton pong;
  std::thread other([&] {
    if constexpr (kOnFiber) {
      Light::spawn([&] { answer(ping, pong, rounds); }).join();
    } else {
      answer(ping, pong, rounds);
    }
  });
  const Moment begin = now();
  Light::spawn([&] { ask(ping, pong, rounds); }).join();
  tell("wake", begin, 2 * rounds);
  other.join();
}

void measure_beside_crowd(char** arguments) {
  const long others = count_of(arguments[0]);
  const auto time = std::chrono::milliseconds(count_of(arguments[1]));
  std::atomic<bool> stop = false;
  long turns = 0;
  std::vector<Light::Fiber> crowd;
  for (long i = 0; i < others; ++i) {
    crowd.push_back(Light::spawn([&] {
      while (!stop) {
        ++turns;
        Light::yield();
      }
    }));
  }
  Light::yield();  // by now each has started
  Light::Baton ping;
  Light::Baton pong;
  std::atomic<bool> ended = false;
  Light::Fiber second = Light::spawn([&] {
    for (ping.take(); !ended; ping.take()) {
      pong.pass();
    }
  });
  turns = 0;
  const Moment begin = now();
  Light::Fiber first = Light::spawn([&] {
    long rounds = 0;
    for (; !stop; ++rounds) {
      ask(ping, pong, 1);
    }
    tell_crowd(begin, now(), 2 * rounds, turns);
    ended = true;
    ping.pass();
  });
  Light::sleep_for(time);
  stop = true;
  first.join();
  second.join();
  for (Light::Fiber& one : crowd) {
    one.join();
  }
}

}  // namespace
}  // namespace ramie::bench

int main(int argc, char** argv) {
  using namespace ramie::bench;
  static const Measurement kKnown[] = {{"light", 1, measure_same<Light>},
                                       {"boost", 1, measure_same<BoostFiber>},
                                       {"across", 1, measure_threads<true>},
                                       {"thread", 1, measure_threads<false>},
                                       {"crowd", 2, measure_beside_crowd}};
  return run_measurement(argc, argv, kKnown, 5);
}

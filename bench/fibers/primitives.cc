// What the primitives cost among fibers of one kernel thread, each N times.
//
//   primitives light N | primitives boost N
#include <ramie/future.h>
#include <ramie/group.h>
#include <ramie/queue.h>
#include <ramie/select.h>

#include <boost/fiber/future.hpp>
#include <boost/fiber/unbuffered_channel.hpp>
#include <optional>
#include <string_view>
#include <vector>

#include "fiber_kinds.h"
#include "figures.h"

namespace ramie::bench {
namespace {

constexpr std::size_t kCapacity = 128;  // a power of two, as Boost wants it
constexpr std::size_t kPlaces = 10;

template <class Kind>
void measure_mutex(long count) {
  typename Kind::Mutex mutex;
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    mutex.lock();
    mutex.unlock();
  }
  tell("mutex", begin, count);
}

// Four hold it by turns, each while the others have a turn.
template <class Kind>
void measure_contended(long count) {
  constexpr long kHolders = 4;
  typename Kind::Mutex mutex;
  std::vector<typename Kind::Fiber> fibers;
  const Moment begin = now();
  for (long i = 0; i < kHolders; ++i) {
    fibers.push_back(Kind::spawn([&] {
      for (long left = count / kHolders; left > 0; --left) {
        std::unique_lock lock(mutex);
        Kind::yield();
      }
    }));
  }
  for (auto& fiber : fibers) {
    fiber.join();
  }
  tell("contended", begin, count / kHolders * kHolders);
}

template <class Kind>
void measure_condition(long count) {
  typename Kind::Mutex mutex;
  typename Kind::ConditionVariable passed;
  int holder = 0;
  auto take = [&](int self) {
    std::unique_lock lock(mutex);
    for (long left = count / 2; left > 0; --left) {
      passed.wait(lock, [&] { return holder == self; });
      holder = 1 - self;
      passed.notify_one();
    }
  };
  const Moment begin = now();
  typename Kind::Fiber first = Kind::spawn([&] { take(0); });
  typename Kind::Fiber second = Kind::spawn([&] { take(1); });
  first.join();
  second.join();
  tell("condition", begin, count / 2 * 2);
}

// One puts N, the other gets them.
template <class Kind, class Put, class Get>
void measure_transport(const char* name, long count, Put put, Get get) {
  const Moment begin = now();
  typename Kind::Fiber other = Kind::spawn([&] {
    for (long i = 0; i < count; ++i) {
      put(i);
    }
  });
  for (long i = 0; i < count; ++i) {
    if (get() != i) {
      fail(name, "an element is missing");
    }
  }
  tell(name, begin, count);
  other.join();
}

// Each is made by one fiber, fulfilled by another one, and waited for.
template <class Kind, class Promise, class Transport, class Put, class Get>
void measure_future(long count, Transport& promises, Put put, Get get) {
  typename Kind::Fiber other = Kind::spawn([&] {
    for (long i = 0; i < count; ++i) {
      get(promises)->set_value(i);
    }
  });
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    Promise promise;
    auto future = promise.get_future();
    put(promises, &promise);
    if (future.get() != i) {
      fail("future", "the value is wrong");
    }
  }
  tell("future", begin, count);
  other.join();
}

void measure_select(long count) {
  ramie::channel<long> even;
  ramie::channel<long> odd;
  const Moment begin = now();
  ramie::fiber<void> other = ramie::spawn([&] {
    for (long i = 0; i < count / 2; ++i) {
      even.send(i);
      odd.send(i);
    }
  });
  for (long i = 0; i < count / 2 * 2; ++i) {
    std::optional<long> got;
    (void)ramie::select(ramie::on_receive(even, got), ramie::on_receive(odd, got));
  }
  tell("select", begin, count / 2 * 2);
  other.join();
}

void measure_pool(long count) {
  ramie::pool ten(kPlaces);
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    ten.spawn([] {});
  }
  ten.join();
  tell("pool", begin, count);
}

void measure_semaphore(long count) {
  ramie::counting_semaphore<> units(1);
  const Moment begin = now();
  for (long i = 0; i < count; ++i) {
    units.acquire();
    units.release();
  }
  tell("semaphore", begin, count);
}

template <class Kind>
void measure_locks(long count) {
  measure_mutex<Kind>(count);
  measure_contended<Kind>(count);
  measure_condition<Kind>(count);
}

void measure_light(char** arguments) {
  const long count = count_of(arguments[0]);
  measure_locks<Light>(count);
  measure_semaphore(count);
  ramie::channel<long> channel;
  ramie::channel<long> buffered(kCapacity);
  ramie::queue<long> queue;
  auto send = [](auto& to) { return [&](long value) { to.send(value); }; };
  auto receive = [](auto& from) { return [&] { return *from.receive(); }; };
  measure_transport<Light>("channel", count, send(channel), receive(channel));
  measure_transport<Light>("buffered", count, send(buffered), receive(buffered));
  measure_transport<Light>(
      "queue", count, [&](long value) { queue.put(value); }, [&] { return queue.get(); });
  measure_select(count);
  ramie::channel<ramie::promise<long>*> promises;
  measure_future<Light, ramie::promise<long>>(
      count, promises, [](auto& to, auto* promise) { to.send(promise); },
      [](auto& from) { return *from.receive(); });
  measure_pool(count);
}

void measure_boost(char** arguments) {
  const long count = count_of(arguments[0]);
  measure_locks<BoostFiber>(count);
  boost::fibers::unbuffered_channel<long> channel;
  boost::fibers::buffered_channel<long> buffered(kCapacity);
  auto push = [](auto& to) { return [&](long value) { to.push(value); }; };
  auto pop = [](auto& from) { return [&] { return from.value_pop(); }; };
  measure_transport<BoostFiber>("channel", count, push(channel), pop(channel));
  measure_transport<BoostFiber>("buffered", count, push(buffered), pop(buffered));
  boost::fibers::unbuffered_channel<boost::fibers::promise<long>*> promises;
  measure_future<BoostFiber, boost::fibers::promise<long>>(
      count, promises, [](auto& to, auto* promise) { to.push(promise); },
      [](auto& from) { return from.value_pop(); });
}

}  // namespace
}  // namespace ramie::bench

int main(int argc, char** argv) {
  using namespace ramie::bench;
  static const Measurement kKnown[] = {{"light", 1, measure_light}, {"boost", 1, measure_boost}};
  return run_measurement(argc, argv, kKnown, 2);
}

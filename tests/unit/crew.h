// Workers of either kind, so that one test says the same about fibers and about kernel threads, and
// waiting for a condition without relying on time.
#pragma once

#include <gtest/gtest.h>
#include <ramie/fiber.h>

#include <chrono>
#include <thread>
#include <utility>
#include <vector>

#include "sync/parking_lot.h"

namespace ramie::test {

class Fibers {
 public:
  static constexpr bool kAreFibers = true;

  ~Fibers() { join(); }

  template <class F>
  void start(F work) {
    workers_.push_back(spawn(std::move(work)));
  }
  void join() {
    for (auto& worker : workers_) {
      worker.get();
    }
    workers_.clear();
  }

 private:
  std::vector<fiber<void>> workers_;
};

class Threads {
 public:
  static constexpr bool kAreFibers = false;

  ~Threads() { join(); }

  template <class F>
  void start(F work) {
    workers_.emplace_back(std::move(work));
  }
  void join() {
    for (auto& worker : workers_) {
      worker.join();
    }
    workers_.clear();
  }

 private:
  std::vector<std::thread> workers_;
};

// Half of each.
class Mixed {
 public:
  template <class F>
  void start(F work) {
    if (next_is_fiber_) {
      fibers_.start(std::move(work));
    } else {
      threads_.start(std::move(work));
    }
    next_is_fiber_ = !next_is_fiber_;
  }
  // The fibers first: while this thread waits for threads in the kernel, its fibers stand still.
  void join() {
    fibers_.join();
    threads_.join();
  }
  ~Mixed() { join(); }

 private:
  Fibers fibers_;
  Threads threads_;
  bool next_is_fiber_ = true;
};

using Crews = ::testing::Types<Fibers, Threads, Mixed>;
using Kinds = ::testing::Types<Fibers, Threads>;

// Lets others run until the condition holds.  The limit only keeps a broken test from hanging.
template <class Condition>
[[nodiscard]] bool eventually(Condition condition) {
  auto limit = std::chrono::steady_clock::now() + std::chrono::seconds(30);
  while (!condition()) {
    if (std::chrono::steady_clock::now() > limit) {
      return false;
    }
    yield();
    std::this_thread::yield();
  }
  return true;
}

// How many are parked on an address: a requeue onto itself counts without moving.
inline unsigned parked_on(const void* address) {
  return sync::requeue(address, address, 0, sync::kEverybody, [] { return true; }).requeued;
}

inline base::Deadline in_ms(int64_t milliseconds) {
  return base::Deadline::after(base::now(), milliseconds * 1'000'000);
}

}  // namespace ramie::test

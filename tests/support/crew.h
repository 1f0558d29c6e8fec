// Workers of each kind, so that one test says the same about fibers and about kernel threads, and
// waiting for a condition without relying on time.  Public headers alone.
//
// Work is a std::function, not a template's parameter: so each test compiles into little.
//
// With RAMIE_CARRIERS=N the fibers of a crew are spread over N kernel threads, this one among them.
#pragma once

#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/queue.h>

#include <chrono>
#include <cstdlib>
#include <functional>
#include <memory>
#include <thread>
#include <utility>
#include <vector>

namespace ramie::test {

// On the kernel thread of the one who starts them.
class LocalFibers {
 public:
  ~LocalFibers() { join(); }

  void start(std::function<void()> work) { workers_.push_back(spawn(std::move(work))); }
  void join() {
    for (auto& worker : workers_) {
      worker.get();
    }
    workers_.clear();
  }

 private:
  std::vector<fiber<void>> workers_;
};

// On a kernel thread of their own.
class RemoteFibers {
 public:
  void start(std::function<void()> work) { works_.put(std::move(work)); }
  void join() {
    works_.close();
    thread_.join();
  }

 private:
  void run() {
    LocalFibers fibers;
    for (auto& work : works_) {
      fibers.start(std::move(work));
    }
  }

  queue<std::function<void()>> works_;
  std::thread thread_{[this] { run(); }};
};

class Fibers {
 public:
  static constexpr bool kAreFibers = true;

  ~Fibers() { join(); }

  void start(std::function<void()> work) {
    std::size_t place = ++started_ % carriers();  // the first one elsewhere if that is possible
    if (place == 0) {
      here_.start(std::move(work));
      return;
    }
    if (elsewhere_.size() < place) {
      elsewhere_.push_back(std::make_unique<RemoteFibers>());
    }
    elsewhere_[place - 1]->start(std::move(work));
  }
  // First those of this thread, which stand still while it waits for the others in the kernel.
  void join() {
    here_.join();
    for (auto& one : elsewhere_) {
      one->join();
    }
    elsewhere_.clear();
    started_ = 0;
  }

 private:
  static std::size_t carriers() {
    const char* number = std::getenv("RAMIE_CARRIERS");
    return number == nullptr ? 1 : std::strtoul(number, nullptr, 10);
  }

  LocalFibers here_;
  std::vector<std::unique_ptr<RemoteFibers>> elsewhere_;
  std::size_t started_ = 0;
};

class Threads {
 public:
  static constexpr bool kAreFibers = false;

  ~Threads() { join(); }

  void start(std::function<void()> work) { workers_.emplace_back(std::move(work)); }
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
  void start(std::function<void()> work) {
    if (next_is_fiber_) {
      fibers_.start(std::move(work));
    } else {
      threads_.start(std::move(work));
    }
    next_is_fiber_ = !next_is_fiber_;
  }
  // The fibers first, as in Fibers::join().
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

// A parameter of typed tests: what is tested, and by whom.
template <class CrewType, class SubjectType>
struct With {
  using Crew = CrewType;
  using Subject = SubjectType;
};
template <class CrewType, std::size_t Number>
struct WithNumber {
  using Crew = CrewType;
  static constexpr std::size_t kNumber = Number;
};

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

}  // namespace ramie::test

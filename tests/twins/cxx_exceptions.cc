// Exceptions in flight while their threads block: what is caught, current or uncaught in one thread
// is nothing to another.
#include <condition_variable>
#include <exception>
#include <mutex>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "twin.h"

namespace {

constexpr int kThreads = 8;

template <class Body>
void in_threads(Body body) {
  std::vector<std::string> lines(kThreads);
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i) threads.emplace_back([&, i] { lines[i] = body(i); });
  for (auto& thread : threads) thread.join();
  for (const auto& line : lines) printf("%s\n", line.c_str());
}

std::string text_of(const std::exception_ptr& pointer) {
  try {
    std::rethrow_exception(pointer);
  } catch (const std::exception& error) {
    nap(1);
    return error.what();
  }
}

// Threads leave their handlers in another order than they entered them.
void caught_over_sleep() {
  in_threads([](int i) {
    try {
      nap(kThreads - i);
      throw std::runtime_error("error of " + std::to_string(i));
    } catch (const std::exception& error) {
      nap(1 + i);
      const std::string current = text_of(std::current_exception());
      CHECK(current == error.what());
      return current;
    }
  });
}

void rethrown_over_sleep() {
  in_threads([](int i) {
    try {
      try {
        throw i;
      } catch (int) {
        nap(1 + (i * 5) % 7);
        throw;
      }
    } catch (int number) {
      nap(1 + (i * 3) % 5);
      return "rethrown " + std::to_string(number);
    }
  });
}

void nested_catches() {
  in_threads([](int i) {
    std::string seen;
    try {
      throw std::out_of_range("outer " + std::to_string(i));
    } catch (const std::out_of_range& outer) {
      nap(1 + i % 3);
      for (int round = 0; round < 3; ++round) {
        try {
          nap(1);
          throw std::logic_error("inner " + std::to_string(10 * i + round));
        } catch (const std::logic_error& inner) {
          nap(1 + (i + round) % 3);
          seen += text_of(std::current_exception()) + ", ";
        }
        CHECK(text_of(std::current_exception()) == outer.what());
      }
      return seen + outer.what();
    }
  });
}

struct Unwound {
  int* uncaught;
  ~Unwound() {
    nap(2);  // Blocks in the middle of the unwinding.
    *uncaught = std::uncaught_exceptions();
  }
};

void blocking_in_destructors() {
  in_threads([](int i) {
    int uncaught = -1;
    try {
      Unwound guard{&uncaught};
      if (i % 2) throw i;
    } catch (int) {
      CHECK(std::uncaught_exceptions() == 0);
    }
    return std::to_string(i) + ": uncaught " + std::to_string(uncaught);
  });
}

void waits_while_handling() {
  std::mutex mutex;
  std::condition_variable changed;
  int turn = 0;
  in_threads([&](int i) {
    try {
      throw std::runtime_error("turn " + std::to_string(i));
    } catch (const std::exception& error) {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return turn == i; });
      ++turn;
      changed.notify_all();
      return text_of(std::current_exception());
    }
  });
}

// An exception made in one thread may be looked at in another, after the first has gone.
void carried_to_another_thread() {
  std::exception_ptr carried;
  std::thread([&] {
    try {
      nap(1);
      throw std::runtime_error("from afar");
    } catch (...) {
      carried = std::current_exception();
      nap(1);
    }
  }).join();
  CHECK(std::current_exception() == nullptr);
  std::thread([&] { printf("%s\n", text_of(carried).c_str()); }).join();
}

const twin_case cases[] = {
    {"caught_over_sleep", THREADS, caught_over_sleep},
    {"rethrown_over_sleep", THREADS, rethrown_over_sleep},
    {"nested_catches", THREADS, nested_catches},
    {"blocking_in_destructors", THREADS, blocking_in_destructors},
    {"waits_while_handling", THREADS, waits_while_handling},
    {"carried_to_another_thread", THREADS, carried_to_another_thread},
};

}  // namespace

TWIN_MAIN(cases)

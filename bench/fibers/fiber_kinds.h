// The fiber libraries that are measured side by side, each behind the same names, as the
// benchmarks' template argument.
#pragma once

#include <ramie/channel.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <boost/fiber/buffered_channel.hpp>
#include <boost/fiber/condition_variable.hpp>
#include <boost/fiber/fiber.hpp>
#include <boost/fiber/mutex.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <chrono>
#include <cstddef>
#include <memory>
#include <mutex>
#include <utility>

namespace ramie::bench {

// RAMIE_STACK_SIZE's default; a larger stack is more to map and no faster to run on.
constexpr std::size_t kStackSize = 64UL * 1024;

// A Baton is passed by one fiber and taken by one other; a Gate is opened once, for all who wait.
struct Light {
  using Fiber = ramie::fiber<void>;
  using Mutex = ramie::mutex;
  using ConditionVariable = ramie::condition_variable;

  class Baton {
   public:
    void pass() { units_.release(); }
    void take() { units_.acquire(); }

   private:
    ramie::counting_semaphore<> units_{0};
  };

  class Gate {
   public:
    void open() { event_.set(); }
    void wait() { event_.wait(); }

   private:
    ramie::event event_;
  };

  template <class F>
  static Fiber spawn(F&& body) {
    return ramie::spawn(std::forward<F>(body));
  }
  // For trees: the child runs first.
  template <class F>
  static Fiber spawn_now(F&& body) {
    return ramie::spawn_now(std::forward<F>(body));
  }
  static void yield() { ramie::yield(); }
  static void sleep_for(std::chrono::nanoseconds time) { ramie::sleep_for(time); }
};

// launch::post is what ramie::spawn() does: the new fiber runs when its spawner waits. The pool
// keeps stacks for the fibers to come, which makes a second burst fifty times cheaper than malloc
// does.
struct BoostFiber {
  using Fiber = boost::fibers::fiber;
  using Mutex = boost::fibers::mutex;
  using ConditionVariable = boost::fibers::condition_variable;

  // There is no semaphore; of what there is, a channel with room is the fastest.
  class Baton {
   public:
    void pass() { units_.push(0); }
    void take() { (void)units_.value_pop(); }

   private:
    boost::fibers::buffered_channel<char> units_{2};
  };

  class Gate {
   public:
    void open() {
      std::unique_lock lock(mutex_);
      is_open_ = true;
      condition_.notify_all();
    }
    void wait() {
      std::unique_lock lock(mutex_);
      condition_.wait(lock, [this] { return is_open_; });
    }

   private:
    Mutex mutex_;
    ConditionVariable condition_;
    bool is_open_ = false;
  };

  template <class F>
  static Fiber spawn(F&& body) {
    return Fiber(boost::fibers::launch::post, std::allocator_arg, stacks(), std::forward<F>(body));
  }
  template <class F>
  static Fiber spawn_now(F&& body) {
    return Fiber(boost::fibers::launch::dispatch, std::allocator_arg, stacks(),
                 std::forward<F>(body));
  }
  static void yield() { boost::this_fiber::yield(); }
  static void sleep_for(std::chrono::nanoseconds time) { boost::this_fiber::sleep_for(time); }

 private:
  static boost::fibers::pooled_fixedsize_stack& stacks() {
    static boost::fibers::pooled_fixedsize_stack pool(kStackSize);
    return pool;
  }
};

}  // namespace ramie::bench

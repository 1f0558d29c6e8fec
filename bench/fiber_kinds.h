// The fiber libraries that are measured side by side, each behind the same three functions, as the
// benchmarks' template argument.
#pragma once

#include <ramie/fiber.h>

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/operations.hpp>
#include <boost/fiber/pooled_fixedsize_stack.hpp>
#include <cstddef>
#include <memory>
#include <utility>

namespace ramie::bench {

// RAMIE_STACK_SIZE's default; a larger stack is more to map and no faster to run on.
constexpr std::size_t kStackSize = 64UL * 1024;

struct Light {
  using Fiber = ramie::fiber<void>;

  template <class F>
  static Fiber spawn(F&& body) {
    return ramie::spawn(std::forward<F>(body));
  }
  static void yield() { ramie::yield(); }
};

// launch::post is what ramie::spawn() does: the new fiber runs when its spawner waits. The pool
// keeps stacks for the fibers to come, which makes a second burst fifty times cheaper than malloc
// does.
struct BoostFiber {
  using Fiber = boost::fibers::fiber;

  template <class F>
  static Fiber spawn(F&& body) {
    return Fiber(boost::fibers::launch::post, std::allocator_arg, stacks(), std::forward<F>(body));
  }
  static void yield() { boost::this_fiber::yield(); }

 private:
  static boost::fibers::pooled_fixedsize_stack& stacks() {
    static boost::fibers::pooled_fixedsize_stack pool(kStackSize);
    return pool;
  }
};

}  // namespace ramie::bench

// The fiber libraries that are measured side by side, each behind the same three functions, as the
// benchmarks' template argument.
#pragma once

#include <ramie/fiber.h>

#include <boost/fiber/fiber.hpp>
#include <boost/fiber/fixedsize_stack.hpp>
#include <boost/fiber/operations.hpp>
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

// launch::post is what ramie::spawn() does: the new fiber runs when its spawner waits.
struct BoostFiber {
  using Fiber = boost::fibers::fiber;

  template <class F>
  static Fiber spawn(F&& body) {
    return Fiber(boost::fibers::launch::post, std::allocator_arg,
                 boost::fibers::fixedsize_stack(kStackSize), std::forward<F>(body));
  }
  static void yield() { boost::this_fiber::yield(); }
};

}  // namespace ramie::bench

// What ends the process: each statement runs in a process of its own.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <cstdlib>

#include "core/sanitizer.h"

namespace ramie::test {
namespace {

// Under a sanitizer the fault is the sanitizer's to report.
#if !defined(RAMIE_ASAN) && !defined(RAMIE_TSAN)

int recurse(int depth) {
  volatile char frame[512];
  frame[0] = static_cast<char>(depth);
  return depth == 0 ? frame[0] : recurse(depth - 1) + frame[0];
}

TEST(FiberDeathTest, AStackOverflowNamesTheFiber) {
  EXPECT_DEATH((void)spawn({.name = "deep"}, [] { return recurse(1'000'000); }).get(),
               "fiber.*deep.*stack");
}

TEST(FiberDeathTest, ADeadlockIsReportedWithWhatEachFiberWaitsFor) {
  // The program starts anew for the statement, so that nobody has read the environment before.
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  EXPECT_DEATH(
      {
        setenv("RAMIE_DEADLOCK", "abort", 1);
        event never;
        fiber<void> stuck = spawn({.name = "stuck"}, [&] { never.wait(); });
        stuck.join();
      },
      "stuck.*address 0x[0-9a-f]+");
}

#endif

}  // namespace
}  // namespace ramie::test

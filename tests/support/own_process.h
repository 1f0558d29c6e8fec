// A piece of a test in a process of its own, whose exit status says whether its expectations held.
#pragma once

#include <gtest/gtest.h>
#include <unistd.h>

#include <cstdlib>
#include <functional>

namespace ramie::test {

// For what can't be undone: the carriers of a crew don't end.
inline void expect_in_a_process(const std::function<void()>& body) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  auto run = [&body] {
    body();
    _exit(testing::Test::HasFailure() ? EXIT_FAILURE : EXIT_SUCCESS);
  };
  EXPECT_EXIT(run(), testing::ExitedWithCode(EXIT_SUCCESS), "");
}

}  // namespace ramie::test

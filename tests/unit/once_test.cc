#include <ramie/once.h>

#include <atomic>
#include <stdexcept>

#include "crew.h"

namespace ramie::test {
namespace {

template <class Crew>
class Once : public ::testing::Test {
 protected:
  once_flag flag;
  Crew crew;
};
TYPED_TEST_SUITE(Once, Crews);

TYPED_TEST(Once, IsDoneOnceAndWaitedForByAll) {
  std::atomic<int> calls = 0;
  std::atomic<bool> done = false;
  for (int i = 0; i < 6; ++i) {
    this->crew.start([&] {
      call_once(
          this->flag,
          [&](int by) {
            calls += by;
            for (int turn = 0; turn < 5; ++turn) {
              yield();  // the others come meanwhile
            }
            done = true;
          },
          1);
      EXPECT_TRUE(done);
    });
  }
  this->crew.join();
  EXPECT_EQ(calls, 1);
}

TYPED_TEST(Once, AnExceptionLeavesItToTheNext) {
  std::atomic<int> tries = 0;
  std::atomic<int> failures = 0;
  for (int i = 0; i < 5; ++i) {
    this->crew.start([&] {
      try {
        call_once(this->flag, [&] {
          int number = ++tries;
          yield();
          if (number < 3) {
            throw std::runtime_error("not yet");
          }
        });
      } catch (const std::runtime_error&) {
        ++failures;
      }
    });
  }
  this->crew.join();
  EXPECT_EQ(tries, 3);
  EXPECT_EQ(failures, 2);
}

}  // namespace
}  // namespace ramie::test

#include "sync/event.h"

#include <ramie/sync.h>

#include <atomic>
#include <chrono>

#include "crew.h"

namespace ramie::test {
namespace {

using std::chrono::milliseconds;

template <class Crew>
class Event : public ::testing::Test {
 protected:
  void start_waiters(unsigned count) {
    for (unsigned i = 0; i < count; ++i) {
      crew.start([this] {
        event.wait();
        ++passed;
      });
    }
    ASSERT_TRUE(eventually([&] { return parked_on(&event) == count; }));
  }

  ramie::event event;
  std::atomic<unsigned> passed = 0;
  Crew crew;
};
TYPED_TEST_SUITE(Event, Crews);

TYPED_TEST(Event, LetsEverybodyPassOnceItIsSet) {
  EXPECT_FALSE(this->event.is_set());
  this->start_waiters(5);
  this->event.set();
  EXPECT_TRUE(this->event.is_set());
  EXPECT_TRUE(eventually([&] { return this->passed == 5; }));
  this->event.wait();
}

TYPED_TEST(Event, HoldsThoseWhoComeAfterAClear) {
  this->event.set();
  this->event.set();
  this->event.clear();
  EXPECT_FALSE(this->event.is_set());
  this->start_waiters(1);
  EXPECT_EQ(this->passed, 0U);
  this->event.clear();
  EXPECT_EQ(parked_on(&this->event), 1U);
  this->event.set();
  EXPECT_TRUE(eventually([&] { return this->passed == 1; }));
}

TYPED_TEST(Event, ASetThatIsClearedAtOnceStillReleasesThoseWhoWaited) {
  this->start_waiters(3);
  this->event.set();
  this->event.clear();
  EXPECT_TRUE(eventually([&] { return this->passed == 3; }));
}

TYPED_TEST(Event, ATimedWaitEndsAtItsTime) {
  this->crew.start([&] {
    int64_t before = base::now();
    EXPECT_FALSE(this->event.wait_for(milliseconds(20)));
    EXPECT_GE(base::now() - before, 20'000'000);
    EXPECT_FALSE(this->event.wait_until(std::chrono::system_clock::now() - milliseconds(1)));
  });
  this->crew.join();
  this->event.set();
  EXPECT_TRUE(this->event.wait_for(milliseconds(0)));
}

TYPED_TEST(Event, TheRuntimesOwnWorksTheSameWay) {
  sync::Event inner;
  this->crew.start([&] {
    inner.wait();
    EXPECT_TRUE(inner.wait_until(in_ms(0)));
    ++this->passed;
  });
  ASSERT_TRUE(eventually([&] { return parked_on(&inner) == 1; }));
  inner.set();
  EXPECT_TRUE(eventually([&] { return this->passed == 1; }));
  inner.clear();
  EXPECT_FALSE(inner.is_set());
}

}  // namespace
}  // namespace ramie::test

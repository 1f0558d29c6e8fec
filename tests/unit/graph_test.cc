#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/graph.h>

#include <algorithm>
#include <stdexcept>
#include <string>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;
using Sums = graph<std::string, int>;

TEST(Graph, RunsEachWhenItsNeedsAreThere) {
  Sums sums;
  std::string trace;
  sums.spawn("d", {"b", "c"}, [&](const Sums::inputs& in) {
    trace += 'd';
    EXPECT_EQ(in.size(), 2U);
    return in.at("b") + in.at("c");
  });
  sums.spawn("b", {"a"}, [&](const Sums::inputs& in) {
    trace += 'b';
    EXPECT_THROW((void)in.at("c"), std::out_of_range);
    return in.at("a") * 10;
  });
  sums.spawn("a", {}, [&] {
    trace += 'a';
    return 1;
  });
  sums.post("c", 5);
  EXPECT_EQ(sums.get("d"), 15);
  EXPECT_EQ(trace, "abd");
  EXPECT_EQ(sums.wait(), (std::map<std::string, int>{{"a", 1}, {"b", 10}, {"c", 5}, {"d", 15}}));
}

TEST(Graph, AFailureReachesAllThatNeedIt) {
  Sums sums;
  bool ran = false;
  sums.spawn("a", {}, []() -> int { throw std::runtime_error("broken"); });
  sums.spawn("b", {"a"}, [&] { return ran = true, 1; });
  sums.spawn("c", {"b"}, [&] { return ran = true, 1; });
  sums.spawn("other", {}, [] { return 4; });
  EXPECT_THROW((void)sums.get("c"), std::runtime_error);
  EXPECT_EQ(sums.get("other"), 4);
  EXPECT_THROW((void)sums.wait(), std::runtime_error);
  EXPECT_FALSE(ran);
}

TEST(Graph, ValuesMayComeLaterFromElsewhere) {
  Sums sums;
  sums.spawn("b", {"a"}, [](const Sums::inputs& in) { return in.at("a") + 1; });
  fiber<void> poster = spawn([&] {
    sleep_for(1ms);
    sums.post("a", 1);
  });
  EXPECT_EQ(sums.get("b"), 2);
  poster.get();
}

TEST(Graph, NoticesThatNothingCanGoOn) {
  Sums sums;
  sums.spawn("a", {"b"}, [] { return 1; });
  sums.spawn("b", {"a"}, [] { return 1; });
  EXPECT_THROW((void)sums.wait(), std::logic_error);
  Sums missing;
  missing.spawn("a", {"nobody makes this"}, [] { return 1; });
  EXPECT_THROW((void)missing.wait(), std::logic_error);
  missing.post("nobody makes this", 1);
  EXPECT_EQ(missing.wait().size(), 2U);
}

TEST(Graph, AKeyIsUsedOnce) {
  Sums sums;
  sums.post("a", 1);
  EXPECT_THROW(sums.post("a", 2), std::invalid_argument);
  EXPECT_THROW(sums.spawn("a", {}, [] { return 1; }), std::invalid_argument);
  EXPECT_EQ(sums.get("a"), 1);
}

TEST(Graph, RunsAtMostAsManyAsItHasPlaces) {
  graph<int, int> rows(2);
  int running = 0;
  int most = 0;
  for (int i = 0; i < 20; ++i) {
    std::vector<int> needs;
    if (i > 0) {
      needs.push_back(i / 2);
    }
    rows.spawn(i, std::move(needs), [&](const graph<int, int>::inputs&) {
      most = std::max(most, ++running);
      yield();
      --running;
      return 1;
    });
  }
  EXPECT_EQ(rows.wait().size(), 20U);
  EXPECT_EQ(most, 2);
}

TEST(Graph, DroppingItEndsWhatIsLeft) {
  bool ended = false;
  {
    Sums sums;
    sums.spawn("a", {}, [&] {
      struct Guard {
        bool& done;
        ~Guard() { done = true; }
      } guard{ended};
      sleep_for(1h);
      return 1;
    });
    sums.spawn("b", {"a"}, [] { return 1; });
    yield();
    yield();
  }
  EXPECT_TRUE(ended);
}

}  // namespace
}  // namespace ramie::test

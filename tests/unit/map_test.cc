#include <gtest/gtest.h>
#include <ramie/cancel.h>
#include <ramie/detail/extras.h>
#include <ramie/fiber.h>
#include <ramie/map.h>

#include <algorithm>
#include <cstddef>
#include <iterator>
#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <utility>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

std::vector<int> numbers(int begin, int end) {
  std::vector<int> all(static_cast<std::size_t>(end - begin));
  std::iota(all.begin(), all.end(), begin);
  return all;
}

// 0, 1, 2, ... for ever.
class Endless {
 public:
  class Iterator {
   public:
    using value_type = int;
    using difference_type = std::ptrdiff_t;
    int operator*() const { return value_; }
    Iterator& operator++() {
      ++value_;
      return *this;
    }
    void operator++(int) { ++value_; }
    friend bool operator==(const Iterator&, std::unreachable_sentinel_t) { return false; }

   private:
    int value_ = 0;
  };
  [[nodiscard]] Iterator begin() const { return {}; }
  [[nodiscard]] std::unreachable_sentinel_t end() const { return {}; }
};

int slow_square(int x) {
  sleep_for(std::chrono::milliseconds(10 - x));
  return x * x;
}

TEST(Map, GivesResultsInTheOrderOfTheElements) {
  pool three(3);
  EXPECT_EQ(map(three, slow_square, std::vector{1, 2, 3, 4, 5}), (std::vector{1, 4, 9, 16, 25}));
  EXPECT_EQ(map(
                three, [](const std::string& s) { return s.size(); }, std::vector<std::string>{}),
            std::vector<std::size_t>{});
}

TEST(Map, TakesFunctionsThatReturnNothing) {
  group any;
  int sum = 0;
  map(
      any, [&](int x) { sum += x; }, numbers(1, 11));
  EXPECT_EQ(sum, 55);
}

// Counts one down when its scope is left.
struct Departure {
  int& count;
  ~Departure() { --count; }
};

TEST(Map, ThrowsTheFirstFailureAfterTheOthersHaveEnded) {
  ::testing::internal::CaptureStderr();
  group any;
  int live = 0;
  auto work = [&](int x) {
    ++live;
    Departure departure{live};
    if (x == 2) {
      throw std::runtime_error("two");
    }
    if (x == 3) {
      throw std::logic_error("three");
    }
    sleep_for(x == 1 ? 1ms : 1h);
  };
  EXPECT_THROW(map(any, work, std::vector{1, 2, 3, 4}), std::runtime_error);
  EXPECT_EQ(live, 0);
  EXPECT_EQ(::testing::internal::GetCapturedStderr(), "");
}

TEST(Map, NeverRunsMoreThanThePoolHasPlaces) {
  pool two(2);
  int running = 0;
  int most = 0;
  map(
      two,
      [&](int) {
        most = std::max(most, ++running);
        yield();
        --running;
      },
      numbers(0, 20));
  EXPECT_EQ(most, 2);
}

TEST(Starmap, SpreadsTheArguments) {
  group any;
  std::vector<std::pair<std::string, int>> arguments{{"a", 1}, {"b", 2}};
  EXPECT_EQ(starmap(
                any, [](const std::string& s, int n) { return s + std::to_string(n); }, arguments),
            (std::vector<std::string>{"a1", "b2"}));
}

TEST(Imap, GivesResultsInOrderOneByOne) {
  pool three(3);
  std::vector<int> seen;
  for (int one : imap(three, slow_square, std::vector{1, 2, 3, 4, 5})) {
    seen.push_back(one);
  }
  EXPECT_EQ(seen, (std::vector{1, 4, 9, 16, 25}));
}

TEST(Imap, StartsOnlyAsManyAheadAsThePoolHasPlaces) {
  pool three(3);
  int started = 0;
  int read = 0;
  for (int one : imap(
           three, [&](int x) { return ++started, x; }, Endless())) {
    EXPECT_EQ(one, read);
    ++read;
    yield();
    EXPECT_LE(started, read + 3);
    if (read == 10) {
      break;
    }
  }
  EXPECT_LE(started, 13);
}

TEST(Imap, LeavingEarlyCancelsTheRest) {
  pool three(3);
  int live = 0;
  auto work = [&](int x) {
    ++live;
    Departure departure{live};
    sleep_for(x == 0 ? 1ms : 1h);
    return x;
  };
  for (int one : imap(three, work, Endless())) {
    EXPECT_EQ(one, 0);
    EXPECT_EQ(live, 2);
    break;
  }
  EXPECT_EQ(live, 0);
}

TEST(Imap, AFailureComesAtItsPlace) {
  group any;
  auto results = imap(
      any, [](int x) { return x == 1 ? throw std::runtime_error("one") : x; },
      std::vector{0, 1, 2});
  auto it = results.begin();
  EXPECT_EQ(*it, 0);
  EXPECT_THROW(++it, std::runtime_error);
}

TEST(ImapUnordered, GivesResultsAsTheyCome) {
  group any;
  event first_may_end;
  std::vector<int> seen;
  auto work = [&](int x) {
    if (x == 0) {
      first_may_end.wait();
    }
    return std::make_unique<int>(x);
  };
  for (std::unique_ptr<int>& one : imap_unordered(any, work, std::vector{0, 1, 2})) {
    seen.push_back(*one);
    if (seen.size() == 2) {
      first_may_end.set();
    }
  }
  EXPECT_EQ(seen, (std::vector{1, 2, 0}));
}

// Called after the links that the fiber had before: holds up its end.
class HoldUp : public detail::link_node {
 public:
  explicit HoldUp(event& until) : until_(until) {}

 private:
  void call(detail::task_base&, const detail::control*) noexcept override { until_.wait(); }

  event& until_;
};

TEST(ImapUnordered, ACancellationWhileAFiberEndsLosesNoResult) {
  group any;
  event may_return;
  event may_end;
  auto work = [&](int x) {
    if (x == 1) {
      may_return.wait();
      EXPECT_TRUE(detail::current_task()->extras->links.add(new HoldUp(may_end)));
    }
    return x;
  };
  auto results = imap_unordered(any, work, std::vector{0, 1});
  fiber<void> reader = spawn([&] {
    auto it = results.begin();
    EXPECT_EQ(*it, 0);
    EXPECT_THROW(++it, cancelled);
    ++it;
    ASSERT_FALSE(it == results.end());
    EXPECT_EQ(*it, 1);
  });
  EXPECT_TRUE(eventually([&] { return parked_on(&may_return) == 1; }));
  yield();
  may_return.set();
  EXPECT_TRUE(eventually([&] { return parked_on(&may_end) == 1; }));
  yield();
  reader.cancel();
  yield();
  may_end.set();
  reader.get();
}

TEST(ImapUnordered, IsEmptyForAnEmptyRange) {
  group any;
  for (int one : imap_unordered(
           any, [](int x) { return x; }, std::vector<int>{})) {
    ADD_FAILURE() << one;
  }
}

}  // namespace
}  // namespace ramie::test

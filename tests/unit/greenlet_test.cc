#include <ramie/greenlet.h>
#include <ramie/sync.h>

#include <any>
#include <chrono>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

int number(const std::any& value) { return std::any_cast<int>(value); }

// The same on a fiber, and on a thread that has none.
template <class Crew>
class Greenlet : public ::testing::Test {
 protected:
  template <class F>
  void run(F body) {
    Crew crew;
    crew.start(body);
    crew.join();
  }
};
TYPED_TEST_SUITE(Greenlet, Kinds);

TYPED_TEST(Greenlet, ValuesGoBackAndForth) {
  this->run([] {
    greenlet adder([](std::any value) {
      int sum = number(value);
      for (int i = 0; i < 3; ++i) {
        sum += number(greenlet::switch_to_parent(sum));
      }
      return sum;
    });
    EXPECT_FALSE(adder.started());
    EXPECT_EQ(number(adder.switch_to(1)), 1);
    EXPECT_TRUE(adder.started());
    EXPECT_EQ(number(adder.switch_to(2)), 3);
    EXPECT_EQ(number(adder.switch_to(3)), 6);
    EXPECT_FALSE(adder.dead());
    EXPECT_EQ(number(adder.switch_to(4)), 10) << "its function's result";
    EXPECT_TRUE(adder.dead());
    EXPECT_EQ(number(adder.switch_to(5)), 5) << "the dead pass on to their parents";
  });
}

TYPED_TEST(Greenlet, SwitchesGoAnywhereInTheTree) {
  this->run([] {
    std::vector<int> order;
    greenlet second;
    greenlet root = greenlet::current();
    greenlet first([&] {
      order.push_back(1);
      second.switch_to();
      order.push_back(3);
      root.switch_to();
      order.push_back(5);
    });
    second = greenlet([&] {
      order.push_back(2);
      first.switch_to();
      order.push_back(6);
    });
    first.switch_to();
    order.push_back(4);
    first.switch_to();
    second.switch_to();
    EXPECT_EQ(order, (std::vector{1, 2, 3, 4, 5, 6}));
    EXPECT_TRUE(first.dead() && second.dead());
    EXPECT_EQ(greenlet::current(), root);
  });
}

TYPED_TEST(Greenlet, AnExceptionGoesToTheParent) {
  this->run([] {
    greenlet fails([] { throw std::runtime_error("no"); });
    EXPECT_THROW(fails.switch_to(), std::runtime_error);
    EXPECT_TRUE(fails.dead());
    bool passed_through = false;
    greenlet middle([&] {
      greenlet inner([] { throw std::out_of_range("inner"); });
      try {
        inner.switch_to();
      } catch (const std::out_of_range&) {
        passed_through = true;
        throw;
      }
    });
    EXPECT_THROW(middle.switch_to(), std::out_of_range);
    EXPECT_TRUE(passed_through);
  });
}

TYPED_TEST(Greenlet, ThrowingIntoIt) {
  this->run([] {
    greenlet catches([] {
      try {
        greenlet::switch_to_parent();
      } catch (const std::invalid_argument& error) {
        return std::string(error.what());
      }
      return std::string();
    });
    catches.switch_to();
    EXPECT_EQ(std::any_cast<std::string>(catches.throw_into(std::invalid_argument("why"))), "why");
    bool ran = false;
    greenlet unborn([&] { ran = true; });
    EXPECT_THROW(unborn.throw_into(std::runtime_error("no")), std::runtime_error);
    EXPECT_TRUE(unborn.dead());
    EXPECT_FALSE(ran);
    greenlet ends([] { greenlet::switch_to_parent(); });
    ends.switch_to();
    EXPECT_FALSE(ends.throw_into(greenlet_exit()).has_value()) << "the exit is no error";
    EXPECT_TRUE(ends.dead());
  });
}

TYPED_TEST(Greenlet, DroppingTheLastHandleEndsIt) {
  this->run([] {
    auto alive = std::make_shared<int>();
    {
      greenlet standing([&] {
        auto kept = alive;
        greenlet::switch_to_parent();
        ADD_FAILURE() << "went on";
      });
      standing.switch_to();
      EXPECT_EQ(alive.use_count(), 2);
    }
    EXPECT_EQ(alive.use_count(), 1);
    // Nobody but the running one itself has it: it ends as soon as it is left.
    greenlet root = greenlet::current();
    std::unique_ptr<greenlet> self;
    self = std::make_unique<greenlet>([&] {
      auto kept = alive;
      self.reset();
      root.switch_to(7);
    });
    greenlet* handle = self.get();
    EXPECT_EQ(number(handle->switch_to()), 7);
    EXPECT_EQ(alive.use_count(), 1);
  });
}

TYPED_TEST(Greenlet, HasAParentThatMayBeChanged) {
  this->run([] {
    greenlet root = greenlet::current();
    greenlet other([](std::any value) { return number(value) + 100; });
    greenlet child([] { return 5; });
    EXPECT_EQ(child.parent(), root);
    EXPECT_FALSE(root.parent().valid());
    child.set_parent(other);
    EXPECT_THROW(other.set_parent(child), std::logic_error);
    EXPECT_THROW(root.set_parent(other), std::logic_error);
    EXPECT_EQ(number(child.switch_to()), 105) << "its parent begins with what it returned";
    EXPECT_THROW(greenlet().switch_to(), std::logic_error);
  });
}

TYPED_TEST(Greenlet, ExceptionsInFlightAreItsOwn) {
  this->run([] {
    greenlet handles([] {
      try {
        throw std::runtime_error("inside");
      } catch (...) {
        greenlet::switch_to_parent();
        try {
          throw;
        } catch (const std::runtime_error& error) {
          EXPECT_STREQ(error.what(), "inside");
        }
      }
    });
    try {
      throw std::logic_error("outside");
    } catch (...) {
      handles.switch_to();
      EXPECT_THROW(throw, std::logic_error);
    }
    handles.switch_to();
    EXPECT_TRUE(handles.dead());
    EXPECT_EQ(std::current_exception(), nullptr);
  });
}

TYPED_TEST(Greenlet, BelongsToItsFiber) {
  this->run([] {
    greenlet mine([] { greenlet::switch_to_parent(); });
    mine.switch_to();
    spawn([&] { EXPECT_THROW(mine.switch_to(), std::logic_error); }).get();
    mine.switch_to();
    EXPECT_TRUE(mine.dead());
  });
}

TEST(Greenlets, OneThatWaitsParksItsFiber) {
  event go;
  std::vector<std::string> order;
  fiber<void> one = spawn([&] {
    greenlet waits([&] {
      order.emplace_back("waits");
      go.wait();
      order.emplace_back("goes on");
      greenlet::switch_to_parent();
      yield();
      sleep_for(1ms);
    });
    waits.switch_to();
    order.emplace_back("root");
    waits.switch_to();
    EXPECT_TRUE(waits.dead());
  });
  fiber<void> other = spawn([&] {
    order.emplace_back("other");
    go.set();
  });
  one.get();
  other.get();
  EXPECT_EQ(order, (std::vector<std::string>{"waits", "other", "goes on", "root"}));
}

TEST(Greenlets, MayOutliveTheirFiber) {
  auto alive = std::make_shared<int>();
  greenlet left = spawn([&] {
                    greenlet standing([alive] {
                      auto kept = alive;
                      greenlet::switch_to_parent();
                    });
                    standing.switch_to();
                    return standing;
                  }).get();
  EXPECT_EQ(alive.use_count(), 3);
  EXPECT_THROW(left.switch_to(), std::logic_error);
  left = greenlet();
  EXPECT_EQ(alive.use_count(), 1);
}

TEST(Greenlets, EachSwitchIsTraced) {
  static std::vector<std::pair<bool, bool>> seen;  // from the root, throws
  seen.clear();
  static greenlet root;
  root = greenlet::current();
  greenlet::set_trace([](const greenlet& from, const greenlet& to, bool throws) {
    EXPECT_FALSE(from == to);
    seen.emplace_back(from == root, throws);
  });
  greenlet ends([] { greenlet::switch_to_parent(); });
  ends.switch_to();
  EXPECT_THROW(ends.throw_into(std::runtime_error("no")), std::runtime_error);
  greenlet::set_trace(nullptr);
  greenlet([] {}).switch_to();
  root = greenlet();
  EXPECT_EQ(seen, (std::vector<std::pair<bool, bool>>{
                      {true, false}, {false, false}, {true, true}, {false, true}}));
}

TEST(Greenlets, AreMany) {
  std::vector<greenlet> all;
  for (int i = 0; i < 2000; ++i) {
    all.emplace_back([](std::any value) {
      for (;;) {
        value = greenlet::switch_to_parent(number(value) + 1);
      }
    });
  }
  int value = 0;
  for (int turn = 0; turn < 3; ++turn) {
    for (greenlet& each : all) {
      value = number(each.switch_to(value));
    }
  }
  EXPECT_EQ(value, 6000);
}

}  // namespace
}  // namespace ramie::test

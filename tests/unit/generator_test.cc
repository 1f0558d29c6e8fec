#include <ramie/generator.h>
#include <ramie/sync.h>

#include <memory>
#include <numeric>
#include <stdexcept>
#include <string>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

struct Tree {
  int value = 0;
  std::unique_ptr<Tree> left;
  std::unique_ptr<Tree> right;
};

// Yields from nested calls.
void walk(const Tree* tree, auto& yield) {
  if (tree != nullptr) {
    walk(tree->left.get(), yield);
    yield(tree->value);
    walk(tree->right.get(), yield);
  }
}

std::unique_ptr<Tree> balanced(int from, int to) {
  if (from >= to) {
    return nullptr;
  }
  int middle = std::midpoint(from, to);
  return std::make_unique<Tree>(Tree{middle, balanced(from, middle), balanced(middle + 1, to)});
}

// The same on a fiber, and on a thread that has none.
template <class Crew>
class Generator : public ::testing::Test {
 protected:
  template <class F>
  void run(F body) {
    Crew crew;
    crew.start(body);
    crew.join();
  }
};
TYPED_TEST_SUITE(Generator, Kinds);

TYPED_TEST(Generator, YieldsFromNestedCalls) {
  this->run([] {
    auto tree = balanced(0, 100);
    generator<int> numbers([&](auto& yield) { walk(tree.get(), yield); });
    int expected = 0;
    for (int number : numbers) {
      EXPECT_EQ(number, expected++);
    }
    EXPECT_EQ(expected, 100);
    EXPECT_FALSE(numbers.next());
  });
}

TYPED_TEST(Generator, RunsOnlyWhenItIsAsked) {
  this->run([] {
    int made = 0;
    generator<int> numbers([&](auto& yield) {
      for (;;) {
        yield(++made);
      }
    });
    EXPECT_EQ(made, 0);
    EXPECT_EQ(numbers.next(), 1);
    EXPECT_EQ(numbers.next(), 2);
    EXPECT_EQ(made, 2);
    for (int number : numbers) {
      if (number == 5) {
        break;
      }
    }
    EXPECT_EQ(numbers.next(), 6) << "a loop goes on where the last one stopped";
  });
}

TYPED_TEST(Generator, ThrowsWhatItsFunctionThrows) {
  this->run([] {
    generator<std::string> words([](auto& yield) {
      yield(std::string("one"));
      throw std::runtime_error("no more");
    });
    EXPECT_EQ(words.next(), "one");
    EXPECT_THROW(words.next(), std::runtime_error);
    EXPECT_FALSE(words.next());
  });
}

TYPED_TEST(Generator, DroppingItRunsTheDestructorsOfItsFunction) {
  this->run([] {
    auto alive = std::make_shared<int>(1);
    std::weak_ptr<int> watch = alive;
    {
      generator<int> numbers([kept = std::move(alive)](auto& yield) {
        auto local = kept;
        for (;;) {
          yield(*local);
        }
      });
      EXPECT_EQ(numbers.next(), 1);
      EXPECT_EQ(watch.use_count(), 2);
    }
    EXPECT_TRUE(watch.expired());
    generator<int> never_asked([](auto& yield) { yield(1); });
  });
}

TYPED_TEST(Generator, YieldsReferencesToo) {
  this->run([] {
    std::vector<int> numbers{1, 2, 3};
    generator<int&> all([&](auto& yield) {
      for (int& number : numbers) {
        yield(number);
      }
    });
    for (int& number : all) {
      number *= 2;
    }
    EXPECT_EQ(numbers, (std::vector{2, 4, 6}));
  });
}

// A switch in the middle of a handler: each side's exceptions are its own.
TYPED_TEST(Generator, ExceptionsOfBothSidesDoNotMix) {
  this->run([] {
    generator<int> inside([](auto& yield) {
      try {
        throw std::runtime_error("inside");
      } catch (const std::exception& error) {
        yield(1);
        EXPECT_STREQ(error.what(), "inside");
        try {
          throw;
        } catch (const std::runtime_error& again) {
          EXPECT_STREQ(again.what(), "inside");
        }
        yield(std::uncaught_exceptions());
      }
    });
    try {
      throw std::logic_error("outside");
    } catch (const std::exception& error) {
      EXPECT_EQ(inside.next(), 1);
      try {
        throw;
      } catch (const std::logic_error& again) {
        EXPECT_STREQ(again.what(), "outside");
      }
    }
    EXPECT_EQ(std::current_exception(), nullptr);
    EXPECT_EQ(inside.next(), 0);
    EXPECT_FALSE(inside.next());
  });
}

TYPED_TEST(Generator, MayGetItsOwnStackSize) {
  this->run([] {
    generator<int> deep(fiber_attributes{.stack_size = 1 << 20}, [](auto& yield) {
      volatile char room[700'000];
      room[0] = 1;
      yield(room[0] + 1);
    });
    EXPECT_EQ(deep.next(), 2);
  });
}

TYPED_TEST(Generator, RefusesToBeAskedFromWithin) {
  this->run([] {
    generator<int>* self = nullptr;
    generator<int> numbers([&](auto& yield) {
      EXPECT_THROW(self->next(), std::logic_error);
      yield(1);
    });
    self = &numbers;
    EXPECT_EQ(numbers.next(), 1);
  });
}

TEST(Generators, AWaitInsideParksTheFiberThatAsks) {
  event go;
  bool other_ran = false;
  generator<int> numbers([&](auto& yield) {
    go.wait();
    sleep_for(1ms);
    yield(1);
    ramie::yield();
    yield(2);
  });
  fiber<int> asking = spawn([&] { return *numbers.next() + *numbers.next(); });
  fiber<void> other = spawn([&] {
    other_ran = true;
    go.set();
  });
  EXPECT_EQ(asking.get(), 3);
  EXPECT_TRUE(other_ran);
  other.join();
}

TEST(Generators, MayBeAskedByOneAfterAnother) {
  generator<int> numbers([](auto& yield) {
    for (int i = 0;; ++i) {
      try {
        throw i;
      } catch (int number) {
        yield(number);
      }
    }
  });
  EXPECT_EQ(numbers.next(), 0);
  std::thread([&] { EXPECT_EQ(numbers.next(), 1); }).join();
  spawn([&] { EXPECT_EQ(numbers.next(), 2); }).get();
  std::thread([&] { spawn([&] { EXPECT_EQ(numbers.next(), 3); }).get(); }).join();
  EXPECT_EQ(numbers.next(), 4);
}

TEST(Generators, ManyStandAtOnceInManyFibers) {
  std::vector<fiber<int>> fibers;
  for (int f = 0; f < 20; ++f) {
    fibers.push_back(spawn([f] {
      generator<int> outer([f](auto& yield) {
        generator<int> inner([f](auto& give) {
          for (int i = 0; i < 50; ++i) {
            ramie::yield();
            give(f);
          }
        });
        for (int number : inner) {
          yield(number);
        }
      });
      int sum = 0;
      for (int number : outer) {
        ramie::yield();
        sum += number;
      }
      return sum;
    }));
  }
  for (int f = 0; f < 20; ++f) {
    EXPECT_EQ(fibers[static_cast<std::size_t>(f)].get(), 50 * f);
  }
}

}  // namespace
}  // namespace ramie::test

#include <ramie/detail/channel_wait.h>
#include <ramie/detail/inner_mutex.h>
#include <ramie/fiber.h>
#include <ramie/select.h>
#include <ramie/select_list.h>
#include <unistd.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <new>
#include <optional>
#include <set>
#include <stdexcept>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class CrewType>
class SelectList : public ::testing::Test {
 protected:
  CrewType crew;
};
TYPED_TEST_SUITE(SelectList, Crews);

TYPED_TEST(SelectList, MergesAnyNumberOfChannels) {
  constexpr int kSources = 20;
  constexpr int kEach = 25;
  std::vector<std::unique_ptr<channel<int>>> sources;
  select_list inputs;
  std::multiset<int> received;
  int open = kSources;
  for (int s = 0; s < kSources; ++s) {
    sources.push_back(std::make_unique<channel<int>>(s % 3));
    inputs.on_receive(*sources.back(), [&](std::optional<int> number) {
      if (number.has_value()) {
        received.insert(*number);
      }
    });
    this->crew.start([&from = *sources.back(), s] {
      for (int i = 0; i < kEach; ++i) {
        from.send(s * kEach + i);
      }
    });
  }
  EXPECT_EQ(inputs.size(), static_cast<std::size_t>(kSources));
  while (received.size() < static_cast<std::size_t>(kSources) * kEach) {
    EXPECT_LT(inputs.select(), static_cast<std::size_t>(open));
  }
  this->crew.join();
  EXPECT_EQ(std::set<int>(received.begin(), received.end()).size(), received.size());
}

TYPED_TEST(SelectList, ASendHappensOnce) {
  channel<int> to(0);
  std::vector<int> got;
  this->crew.start([&] {
    for (int number : to) {
      got.push_back(number);
    }
  });
  select_list outputs;
  outputs.on_send(to, 1);
  outputs.on_send(to, 2);
  std::size_t first = outputs.select();
  EXPECT_EQ(outputs.select(), 1 - first);
  EXPECT_THROW(outputs.select(), std::logic_error);
  to.close();
  this->crew.join();
  EXPECT_EQ(std::set<int>(got.begin(), got.end()), (std::set<int>{1, 2}));
}

TEST(SelectListCases, ATimeHappensOnce) {
  channel<int> silent;
  select_list cases;
  cases.on_receive(silent, [](std::optional<int>) { FAIL(); });
  std::size_t time = cases.on_timeout(2ms);
  EXPECT_EQ(cases.select(), time);
  std::size_t other = cases.on_time(std::chrono::steady_clock::now());
  EXPECT_EQ(cases.select(), other);
}

TEST(SelectListCases, ADescriptorHappensAsOftenAsItIsReady) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  select_list cases;
  int times = 0;
  std::size_t readable = cases.on_readable(fds[0], [&] { ++times; });
  std::size_t nothing = cases.otherwise();
  EXPECT_EQ(cases.select(), nothing);
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  EXPECT_EQ(cases.select(), readable);
  EXPECT_EQ(cases.select(), readable);
  char byte;
  ASSERT_EQ(read(fds[0], &byte, 1), 1);
  EXPECT_EQ(cases.select(), nothing);
  EXPECT_EQ(times, 2);
  cases.clear();
  EXPECT_EQ(cases.on_writable(fds[1]), 0U);
  EXPECT_EQ(cases.on_ready(fds[0], io::readable), 1U);
  EXPECT_EQ(cases.select(), 0U);
  close(fds[0]);
  close(fds[1]);
}

TEST(SelectListCases, AClosedChannelGivesNothingEachTime) {
  channel<std::unique_ptr<int>> from(1);
  from.send(std::make_unique<int>(7));
  from.close();
  select_list cases;
  std::vector<bool> had_value;
  cases.on_receive(from, [&](std::optional<std::unique_ptr<int>> element) {
    had_value.push_back(element.has_value());
  });
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(cases.select(), 0U);
  }
  EXPECT_EQ(had_value, (std::vector{true, false, false}));
}

TEST(SelectListCases, ACaseThatThrowsIsSpent) {
  channel<int> closed;
  closed.close();
  select_list cases;
  cases.on_send(closed, 1);
  EXPECT_THROW(cases.select(), channel_closed);
  EXPECT_THROW(cases.select(), std::logic_error);
}

// Sees whether its lock is taken after its callback was called.
class LockedCase : public detail::select_case {
 public:
  detail::inner_mutex* lock() noexcept override { return &lock_; }
  void begin(detail::channel_wait& operation, std::size_t index) override {
    operation_ = &operation;
    index_ = index;
  }
  void fire(bool) override {
    lock_.lock();
    unlocker_ = spawn([this] {
      was_awaited_ = true;
      lock_.unlock();
    });
  }
  void happen() {
    std::lock_guard guard(lock_);
    if (operation_->try_claim()) {
      operation_->finish(index_, true);
    }
  }
  [[nodiscard]] bool was_awaited() const { return was_awaited_; }
  void join() { unlocker_.join(); }

 private:
  detail::inner_mutex lock_;
  detail::channel_wait* operation_ = nullptr;
  std::size_t index_ = 0;
  bool was_awaited_ = false;
  fiber<void> unlocker_;
};

// So the callback may destroy what the case is about.
TEST(SelectCases, AreLeftAloneAfterTheCallback) {
  LockedCase only;
  fiber<void> partner = spawn([&] { only.happen(); });
  EXPECT_EQ(select(only), 0U);
  EXPECT_FALSE(only.was_awaited());
  only.join();
  partner.join();
}

// Fails to begin to wait; others run before that.
class FailingCase : public detail::select_case {
 public:
  void begin(detail::channel_wait&, std::size_t) override {
    yield();
    throw std::bad_alloc();
  }
  void fire(bool) override {}
};

TEST(SelectCases, AFailureToWaitLosesNoElement) {
  channel<int> numbers;
  std::optional<int> number;
  fiber<void> sender = spawn([&] { numbers.send(7); });
  FailingCase failing;
  EXPECT_EQ(select(on_receive(numbers, number), failing), 0U);
  EXPECT_EQ(number, 7);
  sender.join();
  EXPECT_THROW(select(on_receive(numbers, number), failing), std::bad_alloc);
  EXPECT_FALSE(numbers.try_send(8));
}

}  // namespace
}  // namespace ramie::test

#include <ramie/select.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <stdexcept>
#include <system_error>

#include "support/crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

template <class Parameters>
class Select : public ::testing::Test {
 protected:
  channel<int> numbers{Parameters::kNumber};
  channel<int> others{Parameters::kNumber};
  typename Parameters::Crew crew;
};

using Combinations =
    ::testing::Types<WithNumber<Fibers, 0>, WithNumber<Threads, 0>, WithNumber<Mixed, 0>,
                     WithNumber<Fibers, 2>, WithNumber<Threads, 2>, WithNumber<Mixed, 2>>;
TYPED_TEST_SUITE(Select, Combinations);

TYPED_TEST(Select, TakesTheDefaultWhereNothingElseIsPossible) {
  std::optional<int> number;
  bool otherwise_called = false;
  EXPECT_EQ(select(on_receive(this->numbers, number), on_timeout(1h),
                   otherwise([&] { otherwise_called = true; })),
            2U);
  EXPECT_TRUE(otherwise_called);
  this->crew.start([&] { this->others.send(5); });
  ASSERT_TRUE(eventually([&] {
    return select(on_receive(this->numbers, number), on_receive(this->others, number),
                  otherwise()) == 1;
  }));
  EXPECT_EQ(number, 5);
  this->crew.join();
}

TYPED_TEST(Select, WaitsForTheFirstThatHappens) {
  std::atomic<int> got = 0;
  this->crew.start([&] {
    std::size_t chosen =
        select(on_receive(this->numbers, [&](std::optional<int> number) { got = *number; }),
               on_receive(this->others, [&](std::optional<int>) { FAIL(); }), on_timeout(1h));
    EXPECT_EQ(chosen, 0U);
  });
  yield();
  this->numbers.send(7);
  this->crew.join();
  EXPECT_EQ(got, 7);
  EXPECT_FALSE(this->others.try_receive());
}

TYPED_TEST(Select, SendsWhereSomebodyReceives) {
  channel<int> meeting;
  channel<int> nobody;
  std::atomic<bool> sent = false;
  this->crew.start([&] {
    EXPECT_EQ(select(on_send(nobody, 1), on_send(meeting, 2, [&] { sent = true; })), 1U);
  });
  EXPECT_EQ(meeting.receive(), 2);
  this->crew.join();
  EXPECT_TRUE(sent);
}

TYPED_TEST(Select, TwoSelectsMeet) {
  channel<int> there;
  channel<int> back;
  std::atomic<int> received = 0;
  this->crew.start([&] {
    for (int i = 0; i < 100; ++i) {
      std::optional<int> number;
      if (select(on_send(there, 1), on_receive(back, number)) == 1) {
        received += *number;
      }
    }
  });
  this->crew.start([&] {
    for (int i = 0; i < 100; ++i) {
      std::optional<int> number;
      if (select(on_receive(there, number), on_send(back, 1)) == 0) {
        received += *number;
      }
    }
  });
  this->crew.join();
  EXPECT_EQ(received, 100) << "each pair of selects has moved one element";
}

TYPED_TEST(Select, ATimeEndsTheWait) {
  this->crew.start([&] {
    auto before = std::chrono::steady_clock::now();
    std::optional<int> number;
    EXPECT_EQ(select(on_receive(this->numbers, number), on_timeout(1h), on_time(before + 20ms)),
              2U);
    EXPECT_GE(std::chrono::steady_clock::now() - before, 20ms);
  });
  this->crew.join();
}

TYPED_TEST(Select, AClosedChannelHappensAtOnce) {
  std::atomic<int> begun = 0;
  this->crew.start([&] {
    ++begun;
    bool has_value = true;
    EXPECT_EQ(select(on_receive(this->numbers,
                                [&](std::optional<int> number) { has_value = number.has_value(); }),
                     on_timeout(1h)),
              0U);
    EXPECT_FALSE(has_value);
  });
  channel<int> nobody;
  this->crew.start([&] {
    ++begun;
    EXPECT_THROW(select(on_send(nobody, 1), on_timeout(1h)), channel_closed);
  });
  ASSERT_TRUE(eventually([&] { return begun == 2; }));
  yield();
  this->numbers.close();
  nobody.close();
  this->crew.join();
  std::optional<int> number = 1;
  EXPECT_EQ(select(on_receive(this->numbers, number)), 0U);
  EXPECT_FALSE(number);
  EXPECT_THROW(select(on_send(this->numbers, 1)), channel_closed);
}

TYPED_TEST(Select, PrefersNobody) {
  channel<int> first(1000);
  channel<int> second(1000);
  for (int i = 0; i < 1000; ++i) {
    first.send(i);
    second.send(i);
  }
  std::array<int, 2> chosen{};
  for (int i = 0; i < 1000; ++i) {
    std::optional<int> number;
    ++chosen[select(on_receive(first, number), on_receive(second, number))];
  }
  EXPECT_GT(chosen[0], 300);
  EXPECT_GT(chosen[1], 300);
}

TYPED_TEST(Select, WaitsForDescriptorsToo) {
  std::array<int, 2> sockets{};
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM, 0, sockets.data()), 0);
  std::atomic<int> turns = 0;
  this->crew.start([&] {
    // Written at once, without a wait.
    EXPECT_EQ(select(on_receive(this->numbers, [](std::optional<int>) {}), on_writable(sockets[0])),
              1U);
    ++turns;
    io::events happened = io::none;
    EXPECT_EQ(
        select(on_receive(this->numbers, [](std::optional<int>) {}),
               on_readable(sockets[0], [&](io::events what) { happened = what; }), on_timeout(1h)),
        1U);
    EXPECT_EQ(happened, io::readable);
    char byte = 0;
    EXPECT_EQ(::read(sockets[0], &byte, 1), 1);
    ++turns;
    // The descriptor's wait is given up, and disturbs no later one.
    EXPECT_EQ(select(on_receive(this->numbers, [](std::optional<int>) {}), on_readable(sockets[0])),
              0U);
    EXPECT_EQ(select(on_readable(sockets[0]), on_timeout(5ms)), 1U);
    ++turns;
  });
  ASSERT_TRUE(eventually([&] { return turns == 1; }));
  EXPECT_EQ(::write(sockets[1], "x", 1), 1);
  ASSERT_TRUE(eventually([&] { return turns == 2; }));
  this->numbers.send(1);
  this->crew.join();
  EXPECT_EQ(turns, 3);
  EXPECT_THROW(select(on_readable(-1), on_timeout(1h)), std::system_error);
  for (int fd : sockets) {
    io::notify_close(fd);
    ::close(fd);
  }
}

TYPED_TEST(Select, WhatACallbackThrowsGoesToTheCaller) {
  EXPECT_THROW(select(on_timeout(1ms, [] { throw std::runtime_error("from the callback"); })),
               std::runtime_error);
}

TYPED_TEST(Select, ManySelectsLoseNothing) {
  std::atomic<int> sent = 0;
  std::atomic<int> received = 0;
  std::atomic<int> senders = 3;
  channel<int> ends;
  for (int w = 0; w < 3; ++w) {
    this->crew.start([&, w] {
      for (int i = 0; i < 200; ++i) {
        std::size_t chosen = select(on_send(this->numbers, 1), on_send(this->others, 1),
                                    on_timeout(std::chrono::microseconds((i + w) % 20)));
        sent += chosen < 2 ? 1 : 0;
        yield();
      }
      if (--senders == 0) {
        ends.close();
      }
    });
    this->crew.start([&] {
      std::optional<int> number;
      auto take = [&](std::optional<int> one) { received += one.value_or(0); };
      while (select(on_receive(this->numbers, take), on_receive(this->others, take),
                    on_receive(ends, number)) != 2) {
      }
    });
  }
  this->crew.join();
  while (std::optional<int> left = this->numbers.try_receive()) {
    received += *left;
  }
  while (std::optional<int> left = this->others.try_receive()) {
    received += *left;
  }
  EXPECT_EQ(sent, received);
}

}  // namespace
}  // namespace ramie::test

#include "event/input.h"

#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <ramie/detail/abi.h>
#include <sys/socket.h>
#include <unistd.h>

#include <string>

#include "event/reactor.h"
#include "support/descriptor_pair.h"
#include "support/fiber_group.h"

using ramie::base::Deadline;
using ramie::event::forget;
using ramie::event::InputGlance;
using ramie::event::wait_fd;
using Pair = ramie::test::DescriptorPair;
using ramie::test::FiberGroup;
using ramie::test::in_millis;

namespace {

Pair tcp_pair() {
  int listening = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t length = sizeof address;
  auto* generic = reinterpret_cast<sockaddr*>(&address);
  EXPECT_EQ(bind(listening, generic, sizeof address), 0);
  EXPECT_EQ(getsockname(listening, generic, &length), 0);
  EXPECT_EQ(listen(listening, 1), 0);
  int connected = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(connect(connected, generic, sizeof address), 0);
  int accepted = accept4(listening, nullptr, nullptr, SOCK_CLOEXEC);
  EXPECT_GE(accepted, 0);
  close(listening);
  return {accepted, connected};
}

// What ramie::stream does: all that is there, up to `size`.
std::string receive(int fd, size_t size) {
  std::string data(size, '\0');
  std::ptrdiff_t got = ramie::detail::receive(fd, data.data(), size);
  EXPECT_GE(got, 0);
  data.resize(got < 0 ? 0 : static_cast<size_t>(got));
  return data;
}

void send(int fd, const std::string& data) {
  ASSERT_EQ(::send(fd, data.data(), data.size(), 0), static_cast<ssize_t>(data.size()));
}

// Each test is a fiber that has read a message, so that the descriptor is known.
class Input : public testing::Test {
 protected:
  void TearDown() override { pair_.close(); }

  void on_fiber(std::function<void()> test) {
    FiberGroup fibers;
    fibers.spawn([&] {
      let_events_in();  // from the process's first wait on, it is noted what is learned
      fibers.spawn([&] { send(pair_.b, "first"); });
      EXPECT_EQ(receive(pair_.a, 100), "first");
      test();
    });
    fibers.join();
  }

  [[nodiscard]] bool is_empty() const { return InputGlance(pair_.a).is_empty(); }

  // Lets the poller report what has happened.
  void let_events_in() const {
    Pair other = Pair::pipe();
    EXPECT_EQ(wait_fd(other.a, POLLIN, in_millis(20)), -ETIMEDOUT);
    other.close();
  }

  Pair pair_ = tcp_pair();
};

TEST_F(Input, AReadThatGotLessThanItAskedForHasEmptiedTheSocket) {
  on_fiber([&] {
    EXPECT_TRUE(is_empty());
    send(pair_.b, "next");
    EXPECT_EQ(receive(pair_.a, 100), "next");
    EXPECT_TRUE(is_empty());
  });
}

TEST_F(Input, AReadThatGotAllItAskedForHasNot) {
  on_fiber([&] {
    send(pair_.b, "12345678");
    EXPECT_EQ(receive(pair_.a, 4), "1234");
    EXPECT_FALSE(is_empty());
    EXPECT_EQ(receive(pair_.a, 4), "5678");
    EXPECT_FALSE(is_empty());
  });
}

TEST_F(Input, AnEventMakesItWorthTrying) {
  on_fiber([&] {
    send(pair_.b, "next");
    EXPECT_TRUE(is_empty()) << "nobody has been told yet";
    let_events_in();
    EXPECT_FALSE(is_empty());
    EXPECT_EQ(receive(pair_.a, 100), "next");
  });
}

TEST_F(Input, AnEventThatSomebodyElseTookIsNotOverwrittenByAnEarlierRead) {
  on_fiber([&] {
    send(pair_.b, "next");
    EXPECT_EQ(receive(pair_.a, 100), "next");
    let_events_in();
    InputGlance before(pair_.a);
    // The read that this glance belongs to is over; then come more data and their event, and
    // another one takes the event.
    send(pair_.b, "12345678");
    EXPECT_EQ(wait_fd(pair_.a, POLLIN, Deadline::never()), 0);
    before.got_less();
    EXPECT_FALSE(is_empty());
    EXPECT_EQ(receive(pair_.a, 8), "12345678");
  });
}

TEST_F(Input, TheEndOfTheStreamBehindTheDataIsSeen) {
  on_fiber([&] {
    send(pair_.b, "last");
    shutdown(pair_.b, SHUT_WR);
    let_events_in();
    EXPECT_EQ(receive(pair_.a, 100), "last");
    EXPECT_FALSE(is_empty());
    EXPECT_EQ(receive(pair_.a, 100), "");
    EXPECT_EQ(receive(pair_.a, 100), "");
  });
}

TEST_F(Input, TheEndOfTheStreamAfterAShortReadIsSeen) {
  on_fiber([&] {
    EXPECT_TRUE(is_empty());
    shutdown(pair_.b, SHUT_WR);
    EXPECT_EQ(receive(pair_.a, 100), "");
  });
}

TEST_F(Input, DataBehindUrgentDataAreSeen) {
  on_fiber([&] {
    send(pair_.b, "before");
    ASSERT_EQ(::send(pair_.b, "!", 1, MSG_OOB), 1);
    send(pair_.b, "behind");
    let_events_in();
    // A read stops where the urgent byte is.
    std::string all;
    while (all.size() < 12) {
      all += receive(pair_.a, 100);
    }
    EXPECT_EQ(all, "beforebehind");
  });
}

TEST_F(Input, AnotherUserOfTheNumberStartsAnew) {
  on_fiber([&] {
    EXPECT_TRUE(is_empty());
    forget(pair_.a);
    EXPECT_FALSE(is_empty());
  });
}

TEST_F(Input, WhatIsLearnedOfASocketThatNobodyWaitsForIsForgottenAsWell) {
  on_fiber([&] {
    Pair pair = tcp_pair();
    InputGlance(pair.a).got_nothing();
    InputGlance(pair.a).got_less();
    EXPECT_TRUE(InputGlance(pair.a).is_empty());
    forget(pair.a);
    EXPECT_FALSE(InputGlance(pair.a).is_empty());
    pair.close();
  });
}

TEST_F(Input, OfOtherSocketsAShortReadProvesNothing) {
  pair_.close();
  pair_ = Pair::sockets();
  on_fiber([&] { EXPECT_FALSE(is_empty()); });
  pair_.close();
  pair_ = Pair::sockets(SOCK_SEQPACKET);
  on_fiber([&] { EXPECT_FALSE(is_empty()); });
}

// Of many messages, in bursts that no read's size divides, none is lost.
TEST_F(Input, NothingIsLostInManyMessages) {
  on_fiber([&] {
    constexpr size_t kAll = 200'000;
    FiberGroup fibers;
    fibers.spawn([&] {
      for (size_t sent = 0, round = 0; sent < kAll; ++round) {
        std::string message(std::min<size_t>(1 + round % 97, kAll - sent), 'x');
        send(pair_.b, message);
        sent += message.size();
        if (round % 3 == 0) {
          (void)ramie::core::yield();
        }
      }
    });
    for (size_t got = 0, round = 0; got < kAll; ++round) {
      got += receive(pair_.a, 1 + round % 89).size();
    }
    fibers.join();
  });
}

}  // namespace

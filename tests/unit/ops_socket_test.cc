// The socket calls, on UNIX and TCP sockets.
#include <arpa/inet.h>
#include <netinet/in.h>
#include <signal.h>
#include <sys/un.h>

#include "ops_calls.h"

using namespace ramie;
using namespace ramie::test;

namespace {

class OpsSocket : public OpsTest {
 protected:
  // A TCP listener on an ephemeral port of the loopback.
  int listener(sockaddr_in& address) {
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    address = {};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(listen(fd, 16), 0);
    socklen_t size = sizeof address;
    getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
    return fd;
  }
};

void set_timeout(int fd, int option, int milliseconds) {
  timeval timeout = {milliseconds / 1000, milliseconds % 1000 * 1000};
  ASSERT_EQ(setsockopt(fd, SOL_SOCKET, option, &timeout, sizeof timeout), 0);
}

TEST_F(OpsSocket, RecvParksAndSendWakes) {
  Pair pair = Pair::sockets();
  fibers.spawn([&] {
    char buffer[10];
    uint64_t before = parks();
    EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, sizeof buffer, 0, 0, 0), 5);
    EXPECT_GT(parks(), before);
  });
  fibers.spawn([&] { EXPECT_EQ(call(ops::sendto, pair.out, "hello", 5, 0, 0, 0), 5); });
  fibers.join();
}

TEST_F(OpsSocket, DontWaitIsNeverParked) {
  Pair pair = Pair::sockets();
  char buffer[10];
  msghdr message = {};
  uint64_t before = parks();
  EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 10, MSG_DONTWAIT, 0, 0), -EAGAIN);
  EXPECT_EQ(call(ops::recvmsg, pair.in, &message, MSG_DONTWAIT), -EAGAIN);
  int datagrams = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(call(ops::recvfrom, datagrams, buffer, 10, MSG_ERRQUEUE, 0, 0), -EAGAIN);
  EXPECT_EQ(parks(), before);
  close(datagrams);
}

TEST_F(OpsSocket, WaitAllGathersPieces) {
  Pair pair = Pair::sockets();
  fibers.spawn([&] {
    char buffer[12] = {};
    EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 10, MSG_WAITALL, 0, 0), 10);
    EXPECT_STREQ(buffer, "helloworld");
    iovec list[2] = {{buffer, 3}, {buffer + 3, 7}};
    msghdr message = {};
    message.msg_iov = list;
    message.msg_iovlen = 2;
    EXPECT_EQ(call(ops::recvmsg, pair.in, &message, MSG_WAITALL), 7);  // then the end
  });
  fibers.spawn([&] {
    for (const char* piece : {"hello", "world", "abcde", "fg"}) {
      EXPECT_EQ(call(ops::sendto, pair.out, piece, strlen(piece), 0, 0, 0), word(strlen(piece)));
      (void)core::sleep_until(in_millis(2));
    }
    pair.close_out();
  });
  fibers.join();
}

TEST_F(OpsSocket, PeekWithWaitAllTakesNothingAway) {
  Pair pair = Pair::sockets();
  fibers.spawn([&] {
    char buffer[12] = {};
    EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 10, MSG_WAITALL | MSG_PEEK, 0, 0), 10);
    EXPECT_STREQ(buffer, "helloworld");
    EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 12, 0, 0, 0), 10);
  });
  fibers.spawn([&] {
    for (const char* piece : {"hello", "world"}) {
      EXPECT_EQ(call(ops::sendto, pair.out, piece, 5, 0, 0, 0), 5);
      (void)core::sleep_until(in_millis(2));
    }
  });
  fibers.join();
}

TEST_F(OpsSocket, WaitAllOnDatagramsTakesOne) {
  Pair pair = Pair::sockets(SOCK_DGRAM);
  ASSERT_EQ(send(pair.out, "abc", 3, 0), 3);
  char buffer[10];
  EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 10, MSG_WAITALL, 0, 0), 3);
}

TEST_F(OpsSocket, ReceiveTimeOutIsAgainAndInterruptionThenIsFinal) {
  Pair pair = Pair::sockets();
  set_timeout(pair.in, SO_RCVTIMEO, 30);
  char buffer[10];
  EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 10, 0, 0, 0), -EAGAIN);
  set_timeout(pair.in, SO_RCVTIMEO, 60'000);
  core::Fiber* reader = nullptr;
  fibers.spawn([&] {
    reader = core::current();
    EXPECT_EQ(call(ops::recvfrom, pair.in, buffer, 10, 0, 0, 0), -EINTR);
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*reader)); });
  fibers.join();
}

TEST_F(OpsSocket, SendTimeOutReturnsWhatWasSent) {
  Pair pair = Pair::sockets();
  set_timeout(pair.out, SO_SNDTIMEO, 30);
  std::string data = text(2'000'000);
  long sent = call(ops::sendto, pair.out, data.data(), data.size(), 0, 0, 0);
  EXPECT_GT(sent, 0);
  EXPECT_LT(sent, word(data.size()));
  EXPECT_EQ(call(ops::sendto, pair.out, data.data(), data.size(), 0, 0, 0), -EAGAIN);
}

TEST_F(OpsSocket, BrokenConnectionInTheMiddleOfASendRaisesNoSignal) {
  static int signals;
  signals = 0;
  signal(SIGPIPE, [](int) { ++signals; });
  Pair pair = Pair::sockets();
  std::string data = text(2'000'000);
  fibers.spawn([&] {
    long sent = call(ops::sendto, pair.out, data.data(), data.size(), 0, 0, 0);
    EXPECT_GT(sent, 0);
    EXPECT_LT(sent, word(data.size()));
    EXPECT_EQ(signals, 0);
  });
  fibers.spawn([&] { pair.close_in(); });
  fibers.join();
  long next = call(ops::sendto, pair.out, "x", 1, 0, 0, 0);
  EXPECT_TRUE(next == -EPIPE || next == -ECONNRESET) << next;
  EXPECT_EQ(call(ops::sendto, pair.out, "x", 1, MSG_NOSIGNAL, 0, 0), -EPIPE);
  signal(SIGPIPE, SIG_DFL);
}

TEST_F(OpsSocket, DatagramsToAFullReceiverWait) {
  Pair pair = Pair::sockets(SOCK_DGRAM);
  constexpr int kMany = 1000;
  fibers.spawn([&] {
    uint64_t before = parks();
    for (int i = 0; i < kMany; ++i) {
      EXPECT_EQ(call(ops::sendto, pair.out, "datagram", 8, 0, 0, 0), 8);
    }
    EXPECT_GT(parks(), before);
  });
  fibers.spawn([&] {
    char buffer[10];
    for (int i = 0; i < kMany; ++i) {
      EXPECT_EQ(call(ops::read, pair.in, buffer, sizeof buffer), 8);
    }
  });
  fibers.join();
}

TEST_F(OpsSocket, UnconnectedDatagramsToAFullReceiverWait) {
  int receiver = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  snprintf(address.sun_path + 1, sizeof address.sun_path - 1, "ramie-ops-%d", getpid());
  auto* to = reinterpret_cast<sockaddr*>(&address);
  ASSERT_EQ(bind(receiver, to, sizeof address), 0);
  Pair pair(receiver, socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  constexpr int kMany = 100;
  fibers.spawn([&] {
    for (int i = 0; i < kMany; ++i) {
      EXPECT_EQ(call(ops::sendto, pair.out, "x", 1, 0, to, sizeof address), 1);
    }
  });
  fibers.spawn([&] {
    char byte;
    for (int i = 0; i < kMany; ++i) {
      EXPECT_EQ(call(ops::recvfrom, pair.in, &byte, 1, 0, 0, 0), 1);
    }
  });
  fibers.join();
}

TEST_F(OpsSocket, RecvmmsgWaitsForAllUnlessToldForOne) {
  Pair pair = Pair::sockets(SOCK_DGRAM);
  char buffers[3][8];
  iovec lists[3];
  mmsghdr messages[3] = {};
  for (int i = 0; i < 3; ++i) {
    lists[i] = {buffers[i], sizeof buffers[i]};
    messages[i].msg_hdr.msg_iov = &lists[i];
    messages[i].msg_hdr.msg_iovlen = 1;
  }
  fibers.spawn([&] {
    EXPECT_EQ(call(ops::recvmmsg, pair.in, messages, 3, 0, 0), 3);
    EXPECT_EQ(messages[2].msg_len, 3U);
    EXPECT_EQ(call(ops::recvmmsg, pair.in, messages, 3, MSG_WAITFORONE, 0), 1);
    timespec timeout = {60, 0};
    EXPECT_EQ(call(ops::recvmmsg, pair.in, messages, 1, 0, &timeout), 1);
    EXPECT_LT(timeout.tv_sec, 60);
    EXPECT_EQ(call(ops::recvmmsg, pair.in, messages, 3, MSG_DONTWAIT, 0), -EAGAIN);
  });
  fibers.spawn([&] {
    mmsghdr two[2] = {};
    iovec list = {const_cast<char*>("abc"), 3};
    for (mmsghdr& message : two) {
      message.msg_hdr.msg_iov = &list;
      message.msg_hdr.msg_iovlen = 1;
    }
    EXPECT_EQ(call(ops::sendmmsg, pair.out, two, 2, 0), 2);
    for (int i = 0; i < 3; ++i) {
      (void)core::sleep_until(in_millis(2));
      EXPECT_EQ(call(ops::sendmsg, pair.out, &two[0].msg_hdr, 0), 3);
    }
  });
  fibers.join();
}

TEST_F(OpsSocket, AcceptAndConnectMeetAndChangeNoFlags) {
  sockaddr_in address;
  Pair ends(listener(address), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  fibers.spawn([&] {
    sockaddr_in peer = {};
    socklen_t size = sizeof peer;
    uint64_t before = parks();
    long accepted = call(ops::accept4, ends.in, &peer, &size, SOCK_CLOEXEC);
    ASSERT_GE(accepted, 0);
    EXPECT_GT(parks(), before);
    EXPECT_EQ(peer.sin_family, AF_INET);
    EXPECT_EQ(flags_of(static_cast<int>(accepted)) & O_NONBLOCK, 0);
    EXPECT_EQ(call(ops::write, accepted, "hello", 5), 5);
    EXPECT_EQ(call(ops::close, accepted), 0);
  });
  fibers.spawn([&] {
    EXPECT_EQ(call(ops::connect, ends.out, &address, sizeof address), 0);
    EXPECT_EQ(drain(ends.out, 5), "hello");
    EXPECT_EQ(call(ops::connect, ends.out, &address, sizeof address), -EISCONN);
  });
  fibers.join();
}

TEST_F(OpsSocket, AcceptTimesOutAndIsInterrupted) {
  sockaddr_in address;
  Pair ends(listener(address), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  set_timeout(ends.in, SO_RCVTIMEO, 20);
  EXPECT_EQ(call(ops::accept, ends.in, 0, 0), -EAGAIN);
  set_timeout(ends.in, SO_RCVTIMEO, 0);
  core::Fiber* acceptor = nullptr;
  fibers.spawn([&] {
    acceptor = core::current();
    EXPECT_EQ(call(ops::accept, ends.in, 0, 0), sys::kRestart);
  });
  fibers.spawn([&] { EXPECT_TRUE(core::interrupt(*acceptor)); });
  fibers.join();
  EXPECT_EQ(call(ops::accept, ends.out, 0, 0), -EINVAL);
  EXPECT_EQ(call(ops::accept, 0x7fff, 0, 0), -EBADF);
}

TEST_F(OpsSocket, ConnectRefusedTimedOutAndByTheProgramNonBlocking) {
  sockaddr_in address;
  int closed = listener(address);
  close(closed);
  int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  EXPECT_EQ(call(ops::connect, fd, &address, sizeof address), -ECONNREFUSED);
  close(fd);

  // A queue that is full makes a connection wait.
  Pair ends(listener(address), socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  ASSERT_EQ(listen(ends.in, 0), 0);
  std::vector<int> filling;
  for (int i = 0; i < 4; ++i) {
    int one = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    EXPECT_EQ(call(ops::connect, one, &address, sizeof address), -EINPROGRESS);
    filling.push_back(one);
  }
  set_timeout(ends.out, SO_SNDTIMEO, 30);
  EXPECT_EQ(call(ops::connect, ends.out, &address, sizeof address), -EINPROGRESS);
  for (int one : filling) {
    close(one);
  }
}

}  // namespace

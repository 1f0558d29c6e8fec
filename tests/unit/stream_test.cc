// What streams promise of their calls, by whichever way these are made (RAMIE_POLLER): when others
// close, cancel, fork and end beside them.
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <ramie/fiber.h>
#include <ramie/socket.h>
#include <ramie/testing.h>
#include <ramie/timeout.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

using namespace std::chrono_literals;

namespace {

struct Pair {
  Pair() {
    int ends[2] = {-1, -1};
    EXPECT_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    near = ramie::stream(ends[0]);
    far = ends[1];
  }
  ~Pair() { ::close(far); }
  Pair(const Pair&) = delete;
  Pair& operator=(const Pair&) = delete;

  void say(std::string_view what) const {
    EXPECT_EQ(::send(far, what.data(), what.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(what.size()));
  }

  ramie::stream near;
  int far = -1;
};

std::string read_from(ramie::stream& from) {
  std::array<char, 64> data;
  return {data.data(), from.read_some(data)};
}

std::errc error_of_read(ramie::stream& from) {
  try {
    (void)read_from(from);
  } catch (const std::system_error& error) {
    return static_cast<std::errc>(error.code().value());
  }
  return {};
}

// On a kernel thread of its own, whose fibers are on a carrier of its own.
template <class F>
void on_a_thread(F work) {
  std::thread(std::move(work)).join();
}

TEST(Streams, ReadWhatIsThereAndWhatComes) {
  Pair one;
  one.say("first");
  auto reader = ramie::spawn([&] {
    std::string first = read_from(one.near);
    return first + read_from(one.near);
  });
  ramie::yield();
  ramie::yield();
  one.say(" second");
  EXPECT_EQ(reader.get(), "first second");
}

TEST(Streams, TellTheEndAndTheErrorsOfTheKernel) {
  Pair one;
  ASSERT_EQ(::shutdown(one.far, SHUT_RDWR), 0);
  ramie::spawn([&] {
    EXPECT_EQ(read_from(one.near), "");
    try {
      one.near.write_all("nobody reads it");
      ADD_FAILURE() << "it was written";
    } catch (const std::system_error& error) {
      EXPECT_EQ(error.code(), std::errc::broken_pipe);
    }
  }).join();
  int file = ::memfd_create("no socket", MFD_CLOEXEC);
  ramie::stream wrong(file);
  ramie::spawn([&] { EXPECT_EQ(error_of_read(wrong), std::errc::not_a_socket); }).join();
}

TEST(Streams, ACloseByAnotherFiberEndsARead) {
  Pair one;
  auto reader = ramie::spawn([&] { return error_of_read(one.near); });
  ramie::sleep_for(5ms);
  one.near.close();
  EXPECT_EQ(reader.get(), std::errc::bad_file_descriptor);
}

TEST(Streams, ACloseByAnotherThreadEndsARead) {
  Pair one;
  // The other thread knows the number alone: streams are not for several threads.
  int number = ::dup(one.near.fd());
  ramie::stream near(number);
  one.near.close();
  auto reader = ramie::spawn([&] { return error_of_read(near); });
  std::thread closer([number] {
    std::this_thread::sleep_for(10ms);
    ramie::io::notify_close(number);
    ::close(number);
  });
  EXPECT_EQ(reader.get(), std::errc::bad_file_descriptor);
  closer.join();
  (void)near.release();
  char byte;
  EXPECT_EQ(::recv(one.far, &byte, 1, 0), 0) << "and the other side sees it";
}

// The read has not reached the kernel yet, or is in it: either way the file is the old one.
TEST(Streams, AReadNeverMeetsTheNextFileOfItsNumber) {
  for (bool sleeps : {false, true}) {
    Pair old;
    int number = old.near.fd();
    auto reader = ramie::spawn([&] { return error_of_read(old.near); });
    sleeps ? ramie::sleep_for(5ms) : ramie::yield();
    old.near.close();
    Pair next;
    ASSERT_EQ(::dup2(next.near.fd(), number), number);
    next.say("not for the old one");
    EXPECT_EQ(reader.get(), std::errc::bad_file_descriptor);
    EXPECT_EQ(read_from(next.near), "not for the old one");
    ::close(number);
  }
}

// One event wakes both readers, and the one that reads gives the number to another file.
TEST(Streams, AReaderThatWasWokenDoesNotMeetTheNextFileEither) {
  Pair old;
  Pair next;
  int number = old.near.fd();
  next.say("not for the old one");
  std::vector<ramie::fiber<std::errc>> readers;
  for (int i = 0; i < 2; ++i) {
    readers.push_back(ramie::spawn([&] {
      std::errc error = error_of_read(old.near);
      if (error == std::errc()) {
        old.near.close();
        EXPECT_EQ(::dup2(next.near.fd(), number), number);
      }
      return error;
    }));
  }
  ramie::sleep_for(5ms);
  old.say("x");
  std::errc first = readers[0].get();
  std::errc second = readers[1].get();
  EXPECT_EQ(std::max(first, second), std::errc::bad_file_descriptor);
  EXPECT_EQ(std::min(first, second), std::errc());
  ::close(number);
}

TEST(Streams, NothingIsLostToATimeOutAndNothingIsWrittenAfterwards) {
  Pair one;
  ramie::spawn([&] {
    std::array<char, 64> data{};
    for (int i = 0; i < 50; ++i) {
      EXPECT_THROW(ramie::with_timeout(200us, [&] { (void)one.near.read_some(data); }),
                   ramie::timeout_error);
    }
    one.say("late");
    ramie::sleep_for(2ms);
    EXPECT_EQ(data[0], 0);
    EXPECT_EQ(read_from(one.near), "late");
  }).join();
}

TEST(Streams, ACancelledReadLeavesItsBufferAlone) {
  Pair one;
  auto reader = ramie::spawn([&] { return read_from(one.near); });
  ramie::sleep_for(2ms);
  reader.cancel();
  EXPECT_THROW((void)reader.get(), ramie::cancelled);
  one.say("for the next one");
  EXPECT_EQ(ramie::spawn([&] { return read_from(one.near); }).get(), "for the next one");
}

TEST(Streams, MoreWaitAtOnceThanARingHasRoomFor) {
  constexpr int kMany = 1500;
  Pair one;
  std::vector<ramie::fiber<std::size_t>> readers;
  for (int i = 0; i < kMany; ++i) {
    readers.push_back(ramie::spawn([&] {
      char byte;
      return one.near.read_some({&byte, 1});
    }));
  }
  ramie::yield();
  one.say(std::string(kMany, 'x'));
  std::size_t sum = 0;
  for (auto& reader : readers) {
    sum += reader.get();
  }
  EXPECT_EQ(sum, kMany);
}

TEST(Streams, AWriteWaitsForRoom) {
  Pair one;
  const std::string much(4 << 20, 'y');
  auto writer = ramie::spawn([&] { one.near.write_all(much); });
  std::size_t seen = 0;
  ramie::stream far(::dup(one.far));
  std::vector<char> data(64 << 10);
  while (seen < much.size()) {
    seen += far.read_some(data);
  }
  writer.join();
  EXPECT_EQ(seen, much.size());
}

// What stays in an error queue is an error for poll as long as nobody takes it.
TEST(Streams, ReadersDoNotSpinBesideAMessageInTheErrorQueue) {
  const int on = 1;
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  auto bound = [&](sockaddr_in& name) {
    const int fd = ::socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    name = address;
    EXPECT_EQ(::bind(fd, reinterpret_cast<sockaddr*>(&name), size), 0);
    EXPECT_EQ(::getsockname(fd, reinterpret_cast<sockaddr*>(&name), &size), 0);
    return fd;
  };
  sockaddr_in own, nobody;
  ramie::stream reader(bound(own));
  ::close(bound(nobody));
  const int fd = reader.fd();
  ASSERT_EQ(setsockopt(fd, IPPROTO_IP, IP_RECVERR, &on, sizeof on), 0);
  ASSERT_EQ(::sendto(fd, "x", 1, 0, reinterpret_cast<sockaddr*>(&nobody), size), 1);
  char byte;
  ASSERT_EQ(::recv(fd, &byte, 1, 0), -1);  // told once, but for the message
  std::vector<ramie::fiber<void>> readers;
  for (int i = 0; i < 2; ++i) {
    readers.push_back(ramie::spawn([&] { EXPECT_EQ(read_from(reader), "x"); }));
  }
  ramie::sleep_for(2ms);
  const ramie::switch_count before;
  ramie::sleep_for(20ms);
  EXPECT_LT(before.since(), 100U);
  for (int i = 0; i < 2; ++i) {
    EXPECT_EQ(::sendto(fd, "x", 1, 0, reinterpret_cast<sockaddr*>(&own), size), 1);
  }
  for (auto& one : readers) {
    one.join();
  }
}

// Two carriers, each of which waits for calls of its own and for the other.
TEST(Streams, CarriersWakeOneAnother) {
  Pair there;
  Pair back;
  std::thread other([&] {
    ramie::spawn([&] {
      ramie::stream far(::dup(there.far));
      ramie::stream answer(::dup(back.far));
      for (std::string asked = read_from(far); !asked.empty(); asked = read_from(far)) {
        answer.write_all(asked);
      }
    }).join();
  });
  ramie::spawn([&] {
    for (int i = 0; i < 2000; ++i) {
      there.near.write_all("ping");
      ASSERT_EQ(read_from(back.near), "ping");
    }
    there.near.shutdown_write();
  }).join();
  other.join();
}

TEST(Streams, AThreadThatEndsLeavesNothingToTheNext) {
  for (int i = 0; i < 20; ++i) {
    on_a_thread([] {
      Pair one;
      auto reader = ramie::spawn([&] { return read_from(one.near); });
      ramie::yield();
      one.say("x");
      EXPECT_EQ(reader.get(), "x");
    });
  }
}

TEST(Streams, AForkedChildGoesOn) {
  Pair one;
  auto answer = [&] {
    auto reader = ramie::spawn([&] { return read_from(one.near); });
    ramie::yield();
    one.say("x");
    return reader.get() == "x";
  };
  ASSERT_TRUE(answer());
  pid_t child = ::fork();
  if (child == 0) {
    ::_exit(answer() ? 0 : 1);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_TRUE(answer());
}

}  // namespace

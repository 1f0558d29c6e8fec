// Streams of fibers on one kernel thread and on two, by whichever way their calls are made
// (RAMIE_POLLER): time-outs, cancellations, closes and ends at any moment lose no byte, leave no
// descriptor behind, and reach no other file.
#include <dirent.h>
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/socket.h>
#include <ramie/timeout.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>
#include <atomic>
#include <chrono>
#include <functional>
#include <random>
#include <string>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

namespace ramie::test {
namespace {

using namespace std::chrono_literals;
using Random = std::minstd_rand;

std::pair<stream, stream> make_pair() {
  int ends[2] = {-1, -1};
  EXPECT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
  return {stream(ends[0]), stream(ends[1])};
}

std::chrono::microseconds some_time(Random& random, unsigned most) {
  return std::chrono::microseconds(random() % most);
}

long open_descriptors() {
  long count = 0;
  ::DIR* folder = ::opendir("/proc/self/fd");
  while (::readdir(folder) != nullptr) {
    ++count;
  }
  ::closedir(folder);
  return count;
}

// A sequence in which each byte tells its place.
class Sequence {
 public:
  std::string next(std::size_t size) {
    std::string part(size, '\0');
    for (char& byte : part) {
      byte = static_cast<char>(place_++ * 7);
    }
    return part;
  }
  void check(std::string_view part) { EXPECT_EQ(part, next(part.size())); }
  [[nodiscard]] std::size_t length() const { return place_; }

 private:
  std::size_t place_ = 0;
};

// By each of several kernel threads.
class StreamStress : public ::testing::TestWithParam<int> {
 protected:
  template <class F>
  static void on_threads(F work) {
    std::vector<std::thread> threads;
    for (int i = 0; i < GetParam(); ++i) {
      threads.emplace_back([=] { work(i); });
    }
    for (std::thread& thread : threads) {
      thread.join();
    }
  }
};

void write_all_of(stream& to, Random random, std::size_t size) {
  Sequence sequence;
  while (sequence.length() < size) {
    to.write_all(sequence.next(random() % 300 + 1));
    if (random() % 3 == 0) {
      sleep_for(some_time(random, 100));
    }
  }
  to.shutdown_write();
}

// Each read is a fiber's own, which may be cancelled, has little time, or reaches the end.
std::size_t read_in_bits(stream& from, Random random) {
  Sequence sequence;
  for (bool ends = false; !ends;) {
    std::string got;
    fiber<void> reader = spawn([&, limit = some_time(random, 300)] {
      try {
        timeout scope(limit);
        std::array<char, 200> data;
        std::size_t size = from.read_some(data);
        got.assign(data.data(), size);
        ends = size == 0;
      } catch (const timeout_error&) {
      }
    });
    if (random() % 2 == 0) {
      sleep_for(some_time(random, 100));
      reader.cancel();
    }
    try {
      reader.join();
    } catch (const cancelled&) {
    }
    sequence.check(got);
  }
  return sequence.length();
}

TEST_P(StreamStress, NoByteIsLostToTimeOutsAndCancellations) {
  static constexpr std::size_t kSize = 6000;
  constexpr unsigned kPairs = 12;
  on_threads([](int seed) {
    std::vector<fiber<void>> fibers;
    for (unsigned i = 0; i < kPairs; ++i) {
      fibers.push_back(spawn([random = Random(i + static_cast<unsigned>(seed) * 100 + 1)] {
        auto pair = make_pair();
        auto& near = pair.first;
        fiber<void> writer = spawn([&] { write_all_of(pair.second, random, kSize); });
        std::size_t size = read_in_bits(near, random);
        EXPECT_GE(size, kSize);
        writer.join();
      }));
    }
    for (fiber<void>& one : fibers) {
      one.join();
    }
  });
}

// What a fiber that was closed under gets, or one whose peer has gone.
bool is_expected(const std::system_error& error) {
  return error.code() == std::errc::bad_file_descriptor ||
         error.code() == std::errc::connection_reset || error.code() == std::errc::broken_pipe;
}

void answer(stream peer, Random random, int& answering) {
  ++answering;
  try {
    timeout scope(some_time(random, 2000));
    std::array<char, 100> data;
    while (std::size_t size = peer.read_some(data)) {
      peer.write_all({data.data(), size});
    }
  } catch (const timeout_error&) {
  } catch (const std::system_error& error) {
    EXPECT_TRUE(is_expected(error)) << error.what();
  }
  peer.close();
  --answering;
}

void ask(const endpoint& at, Random random) {
  stream peer = stream::connect(at);
  fiber<void> closer;
  if (random() % 3 == 0) {
    closer = spawn([&, after = some_time(random, 500)] {
      sleep_for(after);
      peer.close();
    });
  }
  try {
    for (std::size_t round = random() % 20; round > 0; --round) {
      std::string said = Sequence().next(random() % 100 + 1);
      peer.write_all(said);
      std::string heard(said.size(), '\0');
      std::size_t size = peer.read_full(heard);
      EXPECT_EQ(heard.substr(0, size), said.substr(0, size));
    }
  } catch (const std::system_error& error) {
    EXPECT_TRUE(is_expected(error)) << error.what();
  }
  if (closer.joinable()) {
    closer.join();
  }
}

TEST_P(StreamStress, ConnectionsComeAndGo) {
  constexpr int kClients = 20;
  constexpr int kRounds = 20;
  auto run = [](int seed) {
    listener doors(endpoint("127.0.0.1:0"));
    endpoint at = doors.local();
    int answering = 0;
    fiber<void> server = spawn([&] {
      Random random(static_cast<unsigned>(seed) + 1);
      try {
        for (;;) {
          spawn(answer, doors.accept(), Random(random()), std::ref(answering)).detach();
        }
      } catch (const cancelled&) {
      }
    });
    std::vector<fiber<void>> clients;
    for (unsigned i = 0; i < kClients; ++i) {
      clients.push_back(
          spawn([&at, random = Random(i + static_cast<unsigned>(seed) * 50)]() mutable {
            for (int round = 0; round < kRounds; ++round) {
              ask(at, Random(random()));
            }
          }));
    }
    for (fiber<void>& one : clients) {
      one.join();
    }
    server.cancel();
    server.join();
    while (answering > 0) {
      sleep_for(1ms);
    }
  };
  on_threads(run);  // what the runtime opens stays open
  long before = open_descriptors();
  on_threads(run);
  EXPECT_LE(open_descriptors(), before);
}

// The reader has asked, and may be anywhere on its way into the kernel and back when another thread
// closes the descriptor and gives its number to a file that has something to read.
TEST_P(StreamStress, ACloseByAnotherThreadKeepsTheNextFileOut) {
  constexpr int kRounds = 300;
  on_threads([](int index) {
    int number = 500 + index;  // which nobody else's open can get in between
    for (int round = 0; round < kRounds; ++round) {
      auto [old, old_far] = make_pair();
      auto [next, next_far] = make_pair();
      next_far.write_all("not for the old one");
      ASSERT_EQ(::dup2(old.fd(), number), number);
      old.close();
      std::atomic<int> has_asked = 0;
      std::thread closer([&, fd = next.fd()] {
        has_asked.wait(0);
        io::notify_close(number);
        ::dup2(fd, number);
      });
      fiber<void> reader = spawn([&] {
        stream from(number);
        std::array<char, 100> data;
        try {
          std::size_t size = from.read_some(data);
          ADD_FAILURE() << "read " << std::string(data.data(), size);
        } catch (const std::system_error& error) {
          EXPECT_EQ(error.code(), std::errc::bad_file_descriptor);
        }
        (void)from.release();
      });
      yield();
      has_asked = 1;
      has_asked.notify_one();
      reader.join();
      closer.join();
      io::notify_close(number);
      ::close(number);
    }
  });
}

INSTANTIATE_TEST_SUITE_P(Threads, StreamStress, ::testing::Values(1, 2),
                         [](const auto& one) { return std::to_string(one.param); });

}  // namespace
}  // namespace ramie::test

#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/server.h>
#include <ramie/timeout.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <atomic>
#include <cstdlib>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

#include "crew.h"

namespace ramie::test {
namespace {

using namespace std::chrono_literals;

const endpoint kAnyPort("127.0.0.1:0");

void echo(stream peer) {
  char buffer[1024];
  while (std::size_t size = peer.read_some(buffer)) {
    peer.write_all({buffer, size});
  }
}

std::string ask(const endpoint& server, std::string_view text) {
  stream peer = stream::connect(server);
  peer.write_all(text);
  peer.shutdown_write();
  std::string answer(text.size() + 1, '\0');
  answer.resize(peer.read_full(answer));
  return answer;
}

TEST(Endpoint, ReadsAndWritesAddresses) {
  for (std::string text : {"127.0.0.1:8080", "[::1]:443", "unix:/tmp/x.sock", "unix:@hidden"}) {
    EXPECT_EQ(endpoint(text).text(), text);
  }
  EXPECT_EQ(endpoint(":80").text(), "0.0.0.0:80");
  EXPECT_EQ(endpoint("unix:/tmp/x").path(), "/tmp/x");
  EXPECT_EQ(endpoint("unix:@x").path(), "");
  EXPECT_EQ(endpoint().text(), "");
  for (std::string text :
       {"", "127.0.0.1", "localhost:80", "1.2.3.4:x", "1.2.3.4:70000", "unix:"}) {
    EXPECT_THROW((void)endpoint(text), std::invalid_argument) << text;
  }
}

TEST(Resolve, FindsAddressesAndNamesItsErrors) {
  std::vector<endpoint> found = resolve("127.0.0.1", "80");
  ASSERT_EQ(found.size(), 1U);
  EXPECT_EQ(found[0].text(), "127.0.0.1:80");
  try {
    (void)resolve("127.0.0.1", "no-such-service-at-all");
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_STREQ(error.code().category().name(), "getaddrinfo");
  }
}

TEST(StreamServer, ServesManyAtOnce) {
  stream_server server(kAnyPort, echo);
  server.start();
  EXPECT_NE(server.port(), 0);
  group clients;
  for (int i = 0; i < 50; ++i) {
    clients.spawn([&, i] {
      std::string text = "message " + std::to_string(i);
      EXPECT_EQ(ask(server.local(), text), text);
    });
  }
  clients.join();
  EXPECT_TRUE(server.stop(10s));
}

TEST(StreamServer, MovesMoreThanTheSocketsHold) {
  stream_server server(kAnyPort, echo);
  server.start();
  std::string text(3'000'000, 'x');
  stream peer = stream::connect("127.0.0.1", server.port());
  EXPECT_EQ(peer.peer().text(), server.local().text());
  fiber<void> writer = spawn([&] {
    peer.write_all(text);
    peer.shutdown_write();
  });
  std::string back(text.size(), '\0');
  EXPECT_EQ(peer.read_full(back), text.size());
  EXPECT_EQ(back, text);
  writer.get();
}

TEST(StreamServer, ServesKernelThreadsToo) {
  stream_server server(kAnyPort, echo);
  server.start();
  std::atomic<bool> done = false;
  std::thread client([&] {
    EXPECT_EQ(ask(server.local(), "from a thread"), "from a thread");
    done = true;
  });
  EXPECT_TRUE(eventually([&] { return done.load(); }));
  client.join();
}

TEST(StreamServer, ServeWaitsUntilClose) {
  stream_server server(kAnyPort, [&](stream peer) {
    peer.write_all("b");
    server.close();
  });
  fiber<void> client = spawn([&] { EXPECT_EQ(ask(server.local(), ""), "b"); });
  server.serve();
  client.get();
  EXPECT_THROW((void)stream::connect(server.local()), std::system_error);
}

TEST(StreamServer, ACloseBeforeTheServerBeginsEndsIt) {
  stream_server server(kAnyPort, echo);
  auto closer = spawn([&] { server.close(); });  // runs before the fiber that serve() makes
  server.serve();
  EXPECT_THROW((void)stream::connect(server.local()), std::system_error);
}

TEST(StreamServer, StopLetsHandlersFinish) {
  event may_end;
  stream_server server(kAnyPort, [&](stream peer) {
    may_end.wait();
    peer.write_all("finished");
  });
  server.start();
  stream peer = stream::connect(server.local());
  ASSERT_TRUE(eventually([&] { return server.active() == 1; }));
  fiber<bool> stopper = spawn([&] { return server.stop(1h); });
  EXPECT_FALSE(stopper.join_for(5ms));
  may_end.set();
  EXPECT_TRUE(stopper.get());
  std::string answer(8, '\0');
  EXPECT_EQ(peer.read_full(answer), 8U);
}

TEST(StreamServer, StopCancelsThoseThatTakeTooLong) {
  bool cancelled_one = false;
  stream_server server(kAnyPort, [&](const stream&) {
    try {
      sleep_for(1h);
    } catch (const cancelled&) {
      cancelled_one = true;
      throw;
    }
  });
  server.start();
  stream peer = stream::connect(server.local());
  ASSERT_TRUE(eventually([&] { return server.active() == 1; }));
  yield();
  EXPECT_FALSE(server.stop(5ms));
  EXPECT_TRUE(cancelled_one);
  char byte[1];
  EXPECT_EQ(peer.read_some(byte), 0U);
}

TEST(StreamServer, AcceptsNoMoreThanItsLimit) {
  event may_end;
  int served = 0;
  stream_server server(kAnyPort,
                       [&](const stream&) {
                         ++served;
                         may_end.wait();
                       },
                       {.most_at_once = 2});
  server.start();
  std::vector<stream> peers;
  for (int i = 0; i < 4; ++i) {
    peers.push_back(stream::connect(server.local()));
  }
  ASSERT_TRUE(eventually([&] { return served == 2; }));
  sleep_for(5ms);
  EXPECT_EQ(served, 2);
  may_end.set();
  EXPECT_TRUE(eventually([&] { return served == 4; }));
}

TEST(StreamServer, HandlersHaveTheAttributesOfTheOptions) {
  std::string name;
  stream_server server(kAnyPort,
                       [&](stream peer) {
                         name = this_fiber::name();
                         echo(std::move(peer));
                       },
                       {.handlers = {.name = "of this server"}});
  server.start();
  EXPECT_EQ(ask(server.local(), "a"), "a");
  EXPECT_EQ(name, "of this server");
}

TEST(StreamServer, AHandlersExceptionEndsItsConnectionAlone) {
  ::testing::internal::CaptureStderr();
  stream_server server(kAnyPort, [](stream peer) {
    char first[1];
    (void)peer.read_some(first);
    if (first[0] == 'x') {
      throw std::runtime_error("handler failed");
    }
    peer.write_all("ok");
  });
  server.start();
  EXPECT_EQ(ask(server.local(), "x"), "");
  EXPECT_EQ(ask(server.local(), "a"), "ok");
  server.stop(10s);
  EXPECT_NE(::testing::internal::GetCapturedStderr().find("handler failed"), std::string::npos);
}

TEST(StreamServer, PausesWhenThereAreNoDescriptors) {
  stream_server server(kAnyPort, echo);
  server.start();
  EXPECT_EQ(ask(server.local(), "warm"), "warm");
  stream client(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  rlimit before{};
  ASSERT_EQ(::getrlimit(RLIMIT_NOFILE, &before), 0);
  int next = ::dup(0);
  ::close(next);
  rlimit none = before;
  none.rlim_cur = static_cast<rlim_t>(next);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &none), 0);
  ASSERT_EQ(::connect(client.fd(), server.local().data(), server.local().size()), 0);
  sleep_for(30ms);
  EXPECT_EQ(server.active(), 0U);
  ASSERT_EQ(::setrlimit(RLIMIT_NOFILE, &before), 0);
  client.write_all("served");
  client.shutdown_write();
  ASSERT_TRUE(io::wait(client.fd(), io::readable, 30s) == io::readable);
  std::string answer(6, '\0');
  EXPECT_EQ(client.read_full(answer), 6U);
  EXPECT_EQ(answer, "served");
}

TEST(StreamServer, SaysWhichAddressIsTaken) {
  stream_server server(kAnyPort, echo);
  try {
    stream_server again(server.local(), echo);
    FAIL();
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::address_in_use);
    EXPECT_NE(std::string(error.what()).find(server.local().text()), std::string::npos);
  }
}

class TemporaryPath {
 public:
  TemporaryPath() {
    char name[] = "/tmp/ramie-server-test-XXXXXX";
    folder_ = ::mkdtemp(name);
    path_ = folder_ + "/socket";
  }
  ~TemporaryPath() {
    ::unlink(path_.c_str());
    ::rmdir(folder_.c_str());
  }
  [[nodiscard]] endpoint address() const { return endpoint("unix:" + path_); }
  [[nodiscard]] bool exists() const {
    struct ::stat file {};
    return ::stat(path_.c_str(), &file) == 0;
  }

 private:
  std::string folder_;
  std::string path_;
};

TEST(UnixServer, ServesReplacesAStaleFileAndRemovesItsOwn) {
  TemporaryPath path;
  {
    int left_behind = ::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    endpoint at = path.address();
    ASSERT_EQ(::bind(left_behind, at.data(), at.size()), 0);
    ::close(left_behind);
  }
  ASSERT_TRUE(path.exists());
  {
    stream_server server(path.address(), echo);
    server.start();
    EXPECT_EQ(ask(path.address(), "over a file"), "over a file");
    EXPECT_THROW(stream_server(path.address(), echo), std::system_error);
    EXPECT_TRUE(path.exists());
  }
  EXPECT_FALSE(path.exists());
}

TEST(UnixServer, UsesTheAbstractNamespace) {
  endpoint at("unix:@ramie-server-test-" + std::to_string(::getpid()));
  stream_server server(at, echo);
  server.start();
  EXPECT_EQ(ask(at, "hello"), "hello");
}

TEST(DatagramServer, AnswersEachDatagramInAFiberOfItsOwn) {
  event first_may_end;
  datagram_server server(kAnyPort,
                         [&](datagram_server& self, const std::string& data, const endpoint& from) {
                           if (data == "slow") {
                             first_may_end.wait();
                           }
                           self.reply(data + "!", from);
                         });
  server.start();
  datagram_socket client(kAnyPort);
  client.send_to("slow", server.local());
  client.send_to("quick", server.local());
  char buffer[64];
  endpoint from;
  EXPECT_EQ(std::string(buffer, client.receive_from(buffer, from)), "quick!");
  EXPECT_EQ(from.text(), server.local().text());
  first_may_end.set();
  EXPECT_EQ(std::string(buffer, client.receive_from(buffer, from)), "slow!");
  EXPECT_TRUE(server.stop(10s));
}

TEST(Stream, ReadUntilKeepsWhatCameBeyondTheEnd) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  stream reader(ends[0]);
  stream writer(ends[1]);
  std::vector<std::string> lines;
  auto reading = spawn([&] {
    std::string data;
    while (std::size_t size = reader.read_until(data, "\r\n")) {
      lines.push_back(data.substr(0, size));
      data.erase(0, size);
    }
    lines.push_back("left: " + data);
  });
  writer.write_all("one\r\ntwo\r\nthree\r");  // the last end comes in two parts
  yield();
  writer.write_all("\n\nfour");
  writer.shutdown_write();
  reading.join();
  EXPECT_EQ(lines, (std::vector<std::string>{"one\r\n", "two\r\n", "three\r\n", "left: \nfour"}));
}

TEST(Stream, ReadUntilTakesNoEndlessLine) {
  int ends[2];
  ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, ends), 0);
  stream reader(ends[0]);
  stream writer(ends[1]);
  writer.write_all(std::string(1000, 'x'));
  std::string data;
  try {
    (void)reader.read_until(data, "\n", 1000);
    FAIL() << "must throw";
  } catch (const std::system_error& error) {
    EXPECT_EQ(error.code(), std::errc::message_size);
  }
  EXPECT_EQ(data.size(), 1000U);
}

TEST(Stream, ATimeoutOrACloseEndsARead) {
  stream_server server(kAnyPort, echo);
  server.start();
  stream peer = stream::connect(server.local());
  char byte[1];
  {
    timeout limit(2ms);
    EXPECT_THROW((void)peer.read_some(byte), timeout_error);
  }
  fiber<void> reader = spawn([&] { (void)peer.read_some(byte); });
  yield();
  peer.close();
  EXPECT_THROW(reader.get(), std::system_error);
  server.stop(10s);
  EXPECT_THROW((void)stream::connect(server.local()), std::system_error);
}

}  // namespace
}  // namespace ramie::test

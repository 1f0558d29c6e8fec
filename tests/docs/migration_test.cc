// Every expression of docs/migration.md, in code that runs.
#include <gtest/gtest.h>
#include <ramie/background.h>
#include <ramie/barrier.h>
#include <ramie/channel.h>
#include <ramie/condition_variable_any.h>
#include <ramie/fiber.h>
#include <ramie/future.h>
#include <ramie/greenlet.h>
#include <ramie/group.h>
#include <ramie/io.h>
#include <ramie/latch.h>
#include <ramie/local.h>
#include <ramie/map.h>
#include <ramie/offload.h>
#include <ramie/once.h>
#include <ramie/process.h>
#include <ramie/queue.h>
#include <ramie/recursive_mutex.h>
#include <ramie/select_list.h>
#include <ramie/server.h>
#include <ramie/shared_mutex.h>
#include <ramie/signal.h>
#include <ramie/sync.h>
#include <ramie/timeout.h>
#include <ramie/wait.h>
#include <signal.h>
#include <unistd.h>

#include <any>
#include <chrono>
#include <exception>
#include <optional>
#include <string>
#include <vector>

namespace {

using namespace std::chrono_literals;

int f(int x) {
  ramie::yield();
  return x;
}
int compute() { return 7; }
const int x = 7;

std::vector<ramie::fiber<int>> three_fibers() {
  std::vector<ramie::fiber<int>> all;
  for (int i = 0; i < 3; ++i) {
    all.push_back(ramie::spawn(f, x));
  }
  return all;
}

TEST(Migration, Fibers) {
  ramie::spawn(f, x).detach();
  ramie::fiber<int> g = ramie::spawn(f, x);
  int calls = 0;
  auto callback = [&] { ++calls; };
  auto use = [&](int value) { calls += value; };
  auto report = [&](const std::exception_ptr&) { ++calls; };
  g.link(callback);
  g.link_value(use);
  g.link_exception(report);
  g.join();
  EXPECT_TRUE(g.join_for(1s));
  EXPECT_TRUE(g.ready() && g.successful() && !g.exception());
  EXPECT_EQ(g.get(), x);
  EXPECT_EQ(calls, 1 + x);

  ramie::fiber<int> later = ramie::spawn_after(1s, f, x);
  later.cancel();
  EXPECT_THROW(later.get(), ramie::cancelled);
  g = ramie::spawn({.name = "parser"}, f, x);
  g.cancel();
  g.detach();
  EXPECT_EQ(ramie::spawn({.stack_size = 256 * 1024}, f, x).get(), x);
  EXPECT_EQ(ramie::this_fiber::id(), ramie::this_fiber::id());
  ramie::join_all();
}

TEST(Migration, Waiting) {
  std::vector<ramie::fiber<int>> all = three_fibers();
  EXPECT_EQ(ramie::wait_n(2, all).size(), 2U);
  ramie::wait_all(all);
  int sum = 0;
  for (auto& one : ramie::as_completed(all)) {
    sum += one.get();
  }
  EXPECT_EQ(sum, 3 * x);
  all = three_fibers();
  ramie::kill_all(all);
  ramie::event woken;
  ramie::fiber<void> sleeper = ramie::spawn([&] {
    ramie::idle();
    woken.set();
    ramie::sleep_in_background(1s);
  });
  ramie::fiber<void> other = ramie::spawn([] { ramie::sleep_for(1s); });
  woken.wait();
  other.cancel();
  ramie::join_all();
  sleeper.cancel();
}

TEST(Migration, Limits) {
  ramie::timeout limit(2s);
  EXPECT_EQ(ramie::with_timeout(2s, compute, 0), 7);
}

TEST(Migration, Synchronisation) {
  [[maybe_unused]] ramie::mutex mutex;
  [[maybe_unused]] ramie::timed_mutex timed;
  [[maybe_unused]] ramie::recursive_mutex recursive;
  [[maybe_unused]] ramie::shared_mutex shared;
  [[maybe_unused]] ramie::condition_variable condition;
  [[maybe_unused]] ramie::condition_variable_any any;
  [[maybe_unused]] ramie::event event;
  ramie::counting_semaphore<> three(3);
  EXPECT_TRUE(three.try_acquire());
  ramie::once_flag flag;
  int initialized = 0;
  auto initialize = [&] { ++initialized; };
  ramie::call_once(flag, initialize);
  ramie::call_once(flag, initialize);
  EXPECT_EQ(initialized, 1);
  ramie::latch none(0);
  none.wait();
  ramie::barrier<> three_of_us(3);
  {
    ramie::group all;
    for (int i = 0; i < 3; ++i) {
      all.spawn([&] { three_of_us.arrive_and_wait(); });
    }
  }
}

TEST(Migration, Exchange) {
  ramie::queue<int> ten(10);
  ramie::priority_queue<int> greatest_first;
  ramie::lifo_queue<int> last_first;
  ten.put(1);
  ramie::promise<int> promise;
  ramie::future<int> answer = promise.get_future();
  promise.set_value(1);
  EXPECT_EQ(answer.get(), 1);
  EXPECT_EQ(ramie::async(f, x).get(), x);
  ramie::packaged_task<int(int)> task(f);
  task(x);
  EXPECT_EQ(task.get_future().get(), x);
  ramie::channel<int> ten_numbers(10);
  ramie::channel<int> c;
  ramie::fiber<void> sender = ramie::spawn([&] {
    c.send(x);
    c.send(x);
    c.close();
  });
  std::optional<int> received = c.receive();
  EXPECT_EQ(received, x);
  for (int number : c) {
    EXPECT_EQ(number, x);
  }
  sender.join();
  auto use_optional = [](std::optional<int> value) { EXPECT_FALSE(value); };
  EXPECT_EQ(
      ramie::select(ramie::on_receive(c, use_optional), ramie::on_timeout(1s), ramie::otherwise()),
      0U);
  ramie::select_list cases;
  cases.on_receive(c, use_optional);
  EXPECT_EQ(cases.select(), 0U);
}

TEST(Migration, Pools) {
  ramie::pool workers(10);
  std::vector<int> xs{1, 2, 3};
  EXPECT_EQ(ramie::map(workers, f, xs), xs);
  int sum = 0;
  for (int one : ramie::imap_unordered(workers, f, xs)) {
    sum += one;
  }
  EXPECT_EQ(sum, 6);
  EXPECT_EQ(ramie::offload(compute), 7);
}

ramie::context_value<std::string> user;

TEST(Migration, Values) {
  ramie::fiber_local<int> mine;
  ++*mine;
  ramie::context_scope as(user, "anna");
  EXPECT_EQ(*user.find(), "anna");
}

TEST(Migration, StopTokens) {
  auto until_stopped = [](std::stop_token token) {
    while (!token.stop_requested()) {
      ramie::yield();
    }
  };
  ramie::fiber<void> stoppable = ramie::spawn(until_stopped);
  EXPECT_TRUE(stoppable.request_stop());
  stoppable.join();
}

TEST(Migration, TheWorldOutside) {
  int fds[2];
  ASSERT_EQ(pipe(fds), 0);
  ASSERT_EQ(write(fds[1], "x", 1), 1);
  int fd = fds[0];
  EXPECT_EQ(ramie::io::wait(fd, ramie::io::readable, 1s), ramie::io::readable);
  ramie::io::notify_close(fd);
  close(fds[0]);
  close(fds[1]);

  ramie::endpoint address("127.0.0.1:0");
  auto handle = [](ramie::stream peer) { peer.write_all("hello"); };
  ramie::stream_server server(address, handle);
  ramie::fiber<void> serving = ramie::spawn([&] { server.serve(); });
  ramie::stream client = ramie::stream::connect(server.local());
  char buffer[5];
  EXPECT_EQ(client.read_full(buffer), 5U);
  server.stop(5s);
  serving.join();

  std::string input = "b\na\n";
  EXPECT_EQ(ramie::run({"sort"}, input).out, "a\nb\n");
  ramie::signal_waiter stop({SIGTERM});
  EXPECT_FALSE(stop.poll());
}

TEST(Migration, Greenlets) {
  auto f = [](std::any given) -> std::any { return std::any_cast<int>(given) + 1; };
  ramie::greenlet other(f);
  EXPECT_EQ(std::any_cast<int>(other.switch_to(x)), x + 1);
}

}  // namespace

// The snippets of docs/guide.md that are no part of a demo, each in a program that runs.
#include <gtest/gtest.h>
#include <ramie/background.h>
#include <ramie/cancel.h>
#include <ramie/carriers.h>
#include <ramie/channel.h>
#include <ramie/coroutine.h>
#include <ramie/fiber.h>
#include <ramie/future.h>
#include <ramie/generator.h>
#include <ramie/graph.h>
#include <ramie/greenlet.h>
#include <ramie/group.h>
#include <ramie/local.h>
#include <ramie/map.h>
#include <ramie/offload.h>
#include <ramie/process.h>
#include <ramie/queue.h>
#include <ramie/resource_pool.h>
#include <ramie/select.h>
#include <ramie/sync.h>
#include <ramie/testing.h>
#include <ramie/timeout.h>
#include <ramie/timer.h>
#include <ramie/wait.h>

#include <any>
#include <atomic>
#include <chrono>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace {

using namespace std::chrono_literals;

// Stands for what takes a while: a query, a download, a friend's answer.
int slow_square(int x) {
  ramie::sleep_for(2ms);
  return x * x;
}

TEST(Guide, AFiber) {
  int answer = 0;
  {
    ramie::fiber<int> square = ramie::spawn(slow_square, 7);
    // ... something else meanwhile ...
    answer = square.get();
  }
  EXPECT_EQ(answer, 49);
}

TEST(Guide, AHandleAnswers) {
  ramie::fiber<int> worker = ramie::spawn(
      {.name = "parser"}, []() -> int { throw std::runtime_error("line 3: no such word"); });
  worker.join();
  EXPECT_TRUE(worker.ready() && !worker.successful());
  std::string said;
  try {
    worker.get();
  } catch (const std::runtime_error& error) {
    said = error.what();
  }
  EXPECT_EQ(said, "line 3: no such word");
}

TEST(Guide, WaitingForSeveral) {
  std::vector<ramie::fiber<int>> squares;
  for (int x : {1, 2, 3}) {
    squares.push_back(ramie::spawn(slow_square, x));
  }
  int sum = 0;
  for (ramie::fiber<int>& one : ramie::as_completed(squares)) {
    sum += one.get();
  }
  EXPECT_EQ(sum, 14);

  ramie::event stop;
  ramie::timer limit(1ms);
  switch (ramie::wait_any(stop, limit)) {
    case 0:
      FAIL();
      break;
    case 1:
      stop.set();
      break;
  }
  EXPECT_TRUE(stop.is_set());
}

TEST(Guide, AGroup) {
  std::vector<std::string> done;
  auto copy = [&](const std::string& name) {
    if (name == "b") {
      throw std::runtime_error("no room for b");
    }
    ramie::sleep_for(1h);
    done.push_back(name);
  };
  bool failed = false;
  try {
    ramie::group copies;
    for (const char* name : {"a", "b", "c"}) {
      copies.spawn(copy, name);
    }
  } catch (const std::runtime_error&) {  // b's; a and c were cancelled, and have ended
    failed = true;
  }
  EXPECT_TRUE(failed);
  EXPECT_TRUE(done.empty());
}

TEST(Guide, AMap) {
  std::vector<int> numbers{1, 2, 3, 4, 5};
  ramie::pool two(2);
  std::vector<int> squares = ramie::map(two, slow_square, numbers);
  int sum = 0;
  for (int square : ramie::imap_unordered(two, slow_square, numbers)) {
    sum += square;
  }
  EXPECT_EQ(squares, (std::vector<int>{1, 4, 9, 16, 25}));
  EXPECT_EQ(sum, 55);
}

TEST(Guide, AGraph) {
  ramie::graph<std::string, int> build;
  build.spawn("program", {"main.o", "lib.o"},
              [](const auto& inputs) { return inputs.at("main.o") + inputs.at("lib.o"); });
  build.spawn("main.o", {}, [] { return slow_square(3); });
  build.spawn("lib.o", {}, [] { return slow_square(4); });
  EXPECT_EQ(build.get("program"), 25);
}

TEST(Guide, Timeouts) {
  std::string reply = ramie::with_timeout(
      1ms,
      [] {
        ramie::sleep_for(1h);
        return std::string("at last");
      },
      "nothing in time");
  EXPECT_EQ(reply, "nothing in time");

  bool too_slow = false;
  try {
    ramie::timeout limit(1ms);
    ramie::sleep_for(1h);  // any number of waits, in whatever function
  } catch (const ramie::timeout_error&) {
    too_slow = true;
  }
  EXPECT_TRUE(too_slow);
}

TEST(Guide, Cancellation) {
  std::string log;
  ramie::fiber<void> worker = ramie::spawn([&] {
    struct Closing {
      std::string& log;
      ~Closing() { log += "closed"; }
    } closing{log};
    for (;;) {
      ramie::sleep_for(1h);
    }
  });
  ramie::yield();
  worker.cancel();
  worker.join();
  EXPECT_EQ(log, "closed");
}

TEST(Guide, AStopToken) {
  ramie::fiber<int> counter = ramie::spawn([](std::stop_token stop) {
    int turns = 0;
    while (!stop.stop_requested()) {
      ++turns;
      ramie::yield();
    }
    return turns;
  });
  ramie::yield();
  counter.request_stop();
  EXPECT_GE(counter.get(), 1);
}

TEST(Guide, Locks) {
  ramie::mutex lock;
  ramie::condition_variable changed;
  int stock = 0;
  ramie::fiber<void> buyer = ramie::spawn([&] {
    std::unique_lock guard(lock);
    changed.wait(guard, [&] { return stock >= 3; });
    stock -= 3;
  });
  std::thread supplier([&] {
    for (int i = 0; i < 3; ++i) {
      std::lock_guard guard(lock);
      ++stock;
      changed.notify_one();
    }
  });
  buyer.join();
  supplier.join();
  EXPECT_EQ(stock, 0);
}

TEST(Guide, AQueue) {
  int sum = 0;
  ramie::queue<int> jobs(10);  // put() waits while ten are inside
  ramie::fiber<void> worker = ramie::spawn([&] {
    for (int job : jobs) {  // until it is closed and empty
      sum += slow_square(job);
      jobs.task_done();
    }
  });
  for (int job : {1, 2, 3}) {
    jobs.put(job);
  }
  jobs.join();  // all that was put is done
  jobs.close();
  worker.join();
  EXPECT_EQ(sum, 14);
}

TEST(Guide, ChannelsAndSelect) {
  ramie::channel<std::string> words;
  ramie::channel<int> numbers;
  ramie::fiber<void> talker = ramie::spawn([&] {
    words.send("one");
    numbers.send(2);
    words.close();
  });
  std::string heard;
  for (bool open = true; open;) {
    ramie::select(
        ramie::on_receive(words,
                          [&](std::optional<std::string> word) {
                            open = word.has_value();
                            heard += word.value_or(".");
                          }),
        ramie::on_receive(numbers, [&](std::optional<int> n) { heard += std::to_string(*n); }),
        ramie::on_timeout(1min, [&] { open = false; }));
  }
  talker.join();
  EXPECT_EQ(heard, "one2.");
}

TEST(Guide, Futures) {
  ramie::promise<int> promise;
  ramie::future<int> answer = promise.get_future();
  std::thread oracle([&] { promise.set_value(42); });  // a kernel thread, or a fiber
  EXPECT_EQ(answer.get(), 42);
  oracle.join();
}

TEST(Guide, Callbacks) {
  std::string log;
  ramie::fiber<int> square = ramie::spawn(slow_square, 3);
  square.link_value([&](int value) { log += std::to_string(value); });
  square.link_exception([&](std::exception_ptr) { log += "failed"; });
  square.join();
  EXPECT_EQ(log, "9");
}

struct Node {
  int value = 0;
  Node* left = nullptr;
  Node* right = nullptr;
};

TEST(Guide, AGenerator) {
  Node one{1};
  Node three{3};
  Node root{2, &one, &three};
  ramie::generator<int> in_order([&](auto& yield) {
    std::function<void(const Node*)> walk = [&](const Node* node) {
      if (node != nullptr) {
        walk(node->left);
        yield(node->value);  // from within the recursion
        walk(node->right);
      }
    };
    walk(&root);
  });
  std::vector<int> values;
  for (int value : in_order) {
    values.push_back(value);
  }
  EXPECT_EQ(values, (std::vector<int>{1, 2, 3}));
}

ramie::task<int> add_later(int a, int b) {
  co_await ramie::after(1ms);
  int square = co_await ramie::spawn(slow_square, b);
  co_return a + square;
}

TEST(Guide, ACoroutine) { EXPECT_EQ(add_later(1, 3).get(), 10); }

TEST(Guide, AGreenlet) {
  std::string log;
  ramie::greenlet other([&](std::any first) -> std::any {
    log += std::any_cast<std::string>(first);
    std::any next = ramie::greenlet::switch_to_parent(std::string("first"));
    log += std::any_cast<std::string>(next);
    return std::string("last");
  });
  log += std::any_cast<std::string>(other.switch_to(std::string("1 ")));
  log += std::any_cast<std::string>(other.switch_to(std::string(" 2 ")));
  EXPECT_EQ(log, "1 first 2 last");
}

TEST(Guide, Offload) {
  int size = ramie::offload([] {
    std::this_thread::sleep_for(1ms);  // blocks a thread of the pool, and no fiber
    return 3;
  });
  EXPECT_EQ(size, 3);
}

TEST(Guide, AProcess) {
  auto [status, out, err] = ramie::run({"sort", "-r"}, "a\nb\n");
  EXPECT_TRUE(status.success());
  EXPECT_EQ(out, "b\na\n");
}

TEST(Guide, AResourcePool) {
  int made = 0;
  ramie::resource_pool<std::string> connections(
      [&] { return "connection " + std::to_string(++made); }, {.max = 2});
  ramie::group clients;
  for (int i = 0; i < 10; ++i) {
    clients.spawn([&] {
      auto connection = connections.acquire();  // waits while two are in use
      ramie::sleep_for(1ms);
      EXPECT_FALSE(connection->empty());
    });
  }
  clients.join();
  EXPECT_EQ(made, 2);
}

ramie::context_value<std::string> user;

TEST(Guide, LocalValues) {
  ramie::fiber_local<int> depth;
  ramie::context_scope as(user, "anna");
  ramie::fiber<std::string> inner = ramie::spawn([&] {
    ++*depth;  // this fiber's own, from 0
    return *user.find() + std::to_string(*depth);
  });
  EXPECT_EQ(inner.get(), "anna1");
}

TEST(Guide, TheEnd) {
  int ticks = 0;
  int served = 0;
  ramie::fiber<void> ticker = ramie::spawn([&] {
    for (;;) {
      ramie::sleep_in_background(1h);
      ++ticks;
    }
  });
  ramie::spawn([&] { served = slow_square(2); }).detach();
  ramie::join_all();  // not for the ticker
  EXPECT_EQ(served, 4);
  ticker.cancel();
  ticker.join();
}

TEST(Guide, ATestOfSwitching) {
  ramie::fiber<void> other = ramie::spawn([] { ramie::yield(); });
  ramie::switch_count before;
  (void)slow_square(2);
  EXPECT_GT(before.since(), 0U) << "slow_square() holds up the others";
  other.join();
}

// The last one: it is for good.
TEST(Guide, MoreThanOneProcessor) {
  ramie::use_carriers();  // one for each processor, or as many as RAMIE_CARRIERS says
  std::atomic<int> sum = 0;
  {
    ramie::group work;
    for (int i = 1; i <= 100; ++i) work.spawn([&, i] { sum += i; });
  }
  EXPECT_EQ(sum, 5050);
}

}  // namespace

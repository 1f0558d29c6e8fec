// The C++ library's own concurrency: thread, async, future, shared_mutex, call_once, condition
// variables with time-outs, and what C++20 added.
#include <atomic>
#include <barrier>
#include <chrono>
#include <condition_variable>
#include <future>
#include <latch>
#include <mutex>
#include <semaphore>
#include <shared_mutex>
#include <stdexcept>
#include <stop_token>
#include <string>
#include <thread>
#include <vector>

#include "twin.h"

namespace {

using namespace std::chrono_literals;
using Clock = std::chrono::steady_clock;

void threads_and_ids() {
  std::vector<std::thread> threads;
  std::vector<std::thread::id> ids(16);
  std::atomic<int> sum{0};
  for (int i = 0; i < 16; ++i) {
    threads.emplace_back([&, i] {
      ids[i] = std::this_thread::get_id();
      std::this_thread::sleep_for(1ms);
      std::this_thread::yield();
      CHECK(ids[i] == std::this_thread::get_id());
      sum += i;
    });
  }
  for (auto& thread : threads) thread.join();
  for (int i = 0; i < 16; ++i)
    for (int j = 0; j < i; ++j) CHECK(ids[i] != ids[j] || ids[i] == std::thread::id());
  printf("sum %d\n", sum.load());
}

void async_and_futures() {
  std::vector<std::future<int>> futures;
  for (int i = 0; i < 10; ++i) {
    futures.push_back(std::async(std::launch::async, [i] {
      std::this_thread::sleep_for(std::chrono::milliseconds(10 - i));
      if (i == 5) throw std::runtime_error("five");
      return i * i;
    }));
  }
  for (auto& future : futures) {
    try {
      printf("%d\n", future.get());
    } catch (const std::exception& error) {
      printf("threw %s\n", error.what());
    }
  }
  std::promise<std::string> promise;
  std::shared_future<std::string> shared = promise.get_future().share();
  CHECK(shared.wait_for(3ms) == std::future_status::timeout);
  std::thread first([shared] { CHECK(shared.get() == "kept"); });
  std::thread second([&promise] { promise.set_value_at_thread_exit("kept"); });
  printf("%s\n", shared.get().c_str());
  first.join();
  second.join();
  std::promise<int> broken;
  auto lost = broken.get_future();
  std::thread([dropped = std::move(broken)] { nap(1); }).join();
  try {
    lost.get();
  } catch (const std::future_error& error) {
    printf("broken: %d\n", error.code() == std::future_errc::broken_promise);
  }
}

void shared_mutexes() {
  std::shared_timed_mutex mutex;
  std::atomic<int> readers{0};
  int value = 0;
  std::vector<std::thread> threads;
  std::latch all_reading(4);
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      std::shared_lock lock(mutex);
      ++readers;
      all_reading.arrive_and_wait();  // All four hold it at once, or this never ends.
      CHECK(!mutex.try_lock());
      nap(2);
      --readers;
    });
  }
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&] {
      all_reading.wait();
      std::unique_lock lock(mutex);
      CHECK(readers == 0);
      const int before = value;
      nap(1);
      value = before + 1;
    });
  }
  for (auto& thread : threads) thread.join();
  std::unique_lock held(mutex);
  std::thread([&] {
    CHECK(!mutex.try_lock_for(3ms));
    CHECK(!mutex.try_lock_shared_until(Clock::now() + 3ms));
  }).join();
  printf("value %d\n", value);
}

void once_and_again() {
  std::once_flag flag;
  int calls = 0, attempts = 0;
  std::vector<std::thread> threads;
  for (int i = 0; i < 6; ++i) {
    threads.emplace_back([&] {
      try {
        std::call_once(flag, [&] {
          nap(2);
          if (++attempts < 3) throw attempts;
          ++calls;
        });
        CHECK(calls == 1);
      } catch (int) {
      }
    });
  }
  for (auto& thread : threads) thread.join();
  printf("attempts %d, calls %d\n", attempts, calls);
}

void condition_time_outs() {
  std::timed_mutex timed;
  std::mutex mutex;
  std::condition_variable changed;
  std::condition_variable_any any;
  bool ready = false;
  std::thread waiter([&] {
    std::unique_lock lock(mutex);
    const auto before = Clock::now();
    CHECK(changed.wait_for(lock, 10ms) == std::cv_status::timeout || ready);
    CHECK(!changed.wait_until(lock, std::chrono::system_clock::now() + 10ms, [] { return false; }));
    CHECK(Clock::now() - before >= 9ms);
    CHECK(changed.wait_for(lock, 20s, [&] { return ready; }));
  });
  std::thread other([&] {
    std::unique_lock lock(timed);
    CHECK(!any.wait_for(lock, 5ms, [] { return false; }));
  });
  other.join();
  nap(30);
  {
    std::lock_guard lock(mutex);
    ready = true;
  }
  changed.notify_one();
  waiter.join();
  printf("ready %d\n", ready);
}

void waits_of_cxx20() {
  std::counting_semaphore<8> tokens(2);
  std::barrier rounds(4, []() noexcept { nap(1); });
  std::atomic<int> word{0}, most{0}, inside{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      for (int round = 0; round < 3; ++round) rounds.arrive_and_wait();
      tokens.acquire();
      const int now = ++inside;
      if (now > most) most = now;
      nap(2);
      --inside;
      tokens.release();
      for (int seen = word; seen != i; seen = word) word.wait(seen);
      word.store(i + 1);
      word.notify_all();
    });
  }
  for (auto& thread : threads) thread.join();
  CHECK(most <= 2);
  CHECK(!std::counting_semaphore<1>(0).try_acquire_for(3ms));
  std::mutex mutex;
  std::condition_variable_any any;
  std::jthread stoppable([&](std::stop_token token) {
    std::unique_lock lock(mutex);
    CHECK(!any.wait(lock, token, [] { return false; }));
  });
  nap(5);
  stoppable.request_stop();
  stoppable.join();
  printf("word %d\n", word.load());
}

const twin_case cases[] = {
    {"threads_and_ids", THREADS, threads_and_ids},
    {"async_and_futures", THREADS, async_and_futures},
    {"shared_mutexes", THREADS, shared_mutexes},
    {"once_and_again", THREADS, once_and_again},
    {"condition_time_outs", THREADS, condition_time_outs},
    {"waits_of_cxx20", THREADS, waits_of_cxx20},
};

}  // namespace

TWIN_MAIN(cases)

// Fibers in a fork's child, natively.
#include <gtest/gtest.h>
#include <pthread.h>
#include <ramie/fiber.h>
#include <ramie/io.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <functional>
#include <mutex>
#include <thread>
#include <utility>

#include "core/stack.h"

namespace ramie {
namespace {

#if defined(RAMIE_TSAN)
#define RAMIE_SKIP_UNDER_TSAN() \
  GTEST_SKIP() << "the thread sanitizer follows no fork of a process with threads"
#else
#define RAMIE_SKIP_UNDER_TSAN() (void)0
#endif

// A thread that does the same again and again, for as long as the object lives.
class Repeating {
 public:
  explicit Repeating(std::function<void()> work)
      : thread_([this, work = std::move(work)] {
          while (!stopped_) {
            work();
          }
        }) {}
  ~Repeating() {
    stopped_ = true;
    thread_.join();
  }

 private:
  std::atomic<bool> stopped_ = false;
  std::thread thread_;
};

void make_stack() {
  core::Fiber& fiber = *core::create_light_fiber(0, 0, nullptr);
  EXPECT_TRUE(core::place_on_stack(fiber));
  core::release(fiber);
}

// What a child exits with.
int result_of_child(const std::function<int()>& work) {
  pid_t child = fork();
  if (child == 0) {
    alarm(20);  // only a broken lock, or a lost event, keeps it that long
    _exit(work());
  }
  int status = -1;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "killed by " << WTERMSIG(status);
  return WEXITSTATUS(status);
}

TEST(Fork, TheChildFindsTheStacksWholeWhoeverUsesThemAtThatMoment) {
  RAMIE_SKIP_UNDER_TSAN();
  spawn([] {}).get();
  Repeating other(make_stack);
  for (int i = 0; i < 100; ++i) {
    ASSERT_EQ(result_of_child([] { return spawn([] { return 7; }).get(); }), 7) << "round " << i;
  }
}

std::mutex of_a_library;

TEST(Fork, AHandlerMayWaitForOneWhoNeedsAStack) {
  RAMIE_SKIP_UNDER_TSAN();
  spawn([] {}).get();
  Repeating other([] {
    std::lock_guard guard(of_a_library);
    make_stack();
  });
  for (int i = 0; i < 200; ++i) {
    ASSERT_EQ(result_of_child([] { return 3; }), 3) << "round " << i;
  }
}

// A fiber waits for a descriptor until another one makes it ready.
int pass_a_byte() {
  int ends[2];
  if (pipe(ends) != 0) {
    return -1;
  }
  auto reader = spawn([&] { return io::wait(ends[0], io::events::readable) != io::events{}; });
  (void)spawn([&] {
    sleep_for(std::chrono::milliseconds(1));
    return write(ends[1], "x", 1);
  }).get();
  bool came = reader.get();
  for (int end : ends) {
    io::notify_close(end);
    close(end);
  }
  return came ? 5 : 0;
}

TEST(Fork, AThreadWithoutFibersLeavesTheParentsBehind) {
  RAMIE_SKIP_UNDER_TSAN();
  std::atomic<bool> has_forked = false;
  int result = -1;
  std::thread other([&] {
    std::this_thread::sleep_for(std::chrono::milliseconds(10));
    result = result_of_child(pass_a_byte);
    has_forked = true;
  });
  // Meanwhile this one is in the poller.
  while (!has_forked) {
    EXPECT_EQ(pass_a_byte(), 5);
    sleep_for(std::chrono::milliseconds(20));
  }
  other.join();
  EXPECT_EQ(result, 5);
}

// Before any fiber is there: so it runs after what the runtime does before a fork, which is the
// other way round, if that does something.
[[gnu::constructor]] void register_library() {
  (void)pthread_atfork([] { of_a_library.lock(); }, [] { of_a_library.unlock(); },
                       [] { of_a_library.unlock(); });
}

}  // namespace
}  // namespace ramie

// Fibers in a fork's child, natively.
#include <gtest/gtest.h>
#include <pthread.h>
#include <ramie/fiber.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <mutex>
#include <thread>

#include "core/stack.h"

namespace ramie {
namespace {

TEST(Fork, TheChildFindsTheStacksWholeWhoeverUsesThemAtThatMoment) {
#if defined(RAMIE_TSAN)
  GTEST_SKIP() << "the thread sanitizer follows no fork of a process with threads";
#endif
  spawn([] {}).get();
  std::atomic<bool> stopped = false;
  std::thread other([&] {
    while (!stopped) {
      core::release(*core::create_light_fiber(0, 0, nullptr));
    }
  });
  for (int i = 0; i < 100; ++i) {
    pid_t child = fork();
    if (child == 0) {
      alarm(20);  // only a broken lock keeps it that long
      int result = 0;
      spawn([&] { result = 7; }).get();
      _exit(result);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_TRUE(WIFEXITED(status)) << "killed by " << WTERMSIG(status) << " in round " << i;
    ASSERT_EQ(WEXITSTATUS(status), 7);
  }
  stopped = true;
  other.join();
}

std::mutex of_a_library;

TEST(Fork, AHandlerMayWaitForOneWhoNeedsAStack) {
#if defined(RAMIE_TSAN)
  GTEST_SKIP() << "the thread sanitizer follows no fork of a process with threads";
#endif
  spawn([] {}).get();
  std::atomic<bool> stopped = false;
  std::thread other([&] {
    while (!stopped) {
      std::lock_guard guard(of_a_library);
      core::release(*core::create_light_fiber(0, 0, nullptr));
    }
  });
  for (int i = 0; i < 200; ++i) {
    pid_t child = fork();
    if (child == 0) {
      _exit(3);
    }
    int status = -1;
    ASSERT_EQ(waitpid(child, &status, 0), child);
    ASSERT_EQ(WEXITSTATUS(status), 3);
  }
  stopped = true;
  other.join();
}

// Before any fiber is there: so it runs after what the runtime does before a fork, which is the
// other way round, if that does something.
[[gnu::constructor]] void register_library() {
  (void)pthread_atfork([] { of_a_library.lock(); }, [] { of_a_library.unlock(); },
                       [] { of_a_library.unlock(); });
}

}  // namespace
}  // namespace ramie

// Fibers in a fork's child, natively.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
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

}  // namespace
}  // namespace ramie

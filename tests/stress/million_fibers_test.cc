// A million light fibers asleep in one process, with the default vm.max_map_count.  Prints what
// they cost.  Not for sanitized builds, whose shadow memory multiplies it.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

#include "core/sanitizer.h"

namespace ramie::test {
namespace {

using Clock = std::chrono::steady_clock;

// The value of a line "name:  123 kB" of a file in /proc, in kB.
long kilobytes(const char* file, const char* name) {
  long value = 0;
  if (FILE* lines = std::fopen(file, "r")) {
    char line[256];
    while (std::fgets(line, sizeof line, lines) != nullptr) {
      if (std::strncmp(line, name, std::strlen(name)) == 0) {
        value = std::strtol(line + std::strlen(name) + 1, nullptr, 10);
      }
    }
    std::fclose(lines);
  }
  return value;
}

double seconds_since(Clock::time_point start) {
  return std::chrono::duration<double>(Clock::now() - start).count();
}

TEST(Scale, AMillionFibersSleep) {
#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
  GTEST_SKIP() << "a sanitizer's shadow memory is no measure";
#endif
  constexpr int kFibers = 1'000'000;
  constexpr long kNeededKilobytes = 8L * 1024 * 1024;
  if (kilobytes("/proc/meminfo", "MemAvailable") < kNeededKilobytes) {
    GTEST_SKIP() << "needs 8 GB of free memory";
  }
  long before = kilobytes("/proc/self/status", "VmRSS");
  auto start = Clock::now();
  std::vector<fiber<void>> fibers;
  fibers.reserve(kFibers);
  event morning;
  int asleep = 0;
  int awake = 0;
  // Half of them have a time to wake at, far away, and half have none: all wake by the event.
  for (int i = 0; i < kFibers; ++i) {
    fibers.push_back(spawn([&, timed = i % 2 == 0] {
      ++asleep;
      if (timed) {
        EXPECT_TRUE(morning.wait_for(std::chrono::hours(1)));
      } else {
        morning.wait();
      }
      ++awake;
    }));
  }
  double spawned = seconds_since(start);
  while (asleep < kFibers) {
    yield();
  }
  yield();  // the last one parks
  long peak = kilobytes("/proc/self/status", "VmHWM");
  std::printf("spawned %d fibers in %.2f s; all asleep after %.2f s, on %ld kB: %.0f bytes each\n",
              kFibers, spawned, seconds_since(start), peak,
              static_cast<double>(peak - before) * 1024 / kFibers);
  RecordProperty("peak_kilobytes", std::to_string(peak));
  EXPECT_EQ(awake, 0);
  EXPECT_LT(peak, kNeededKilobytes);
  morning.set();
  for (auto& one : fibers) {
    one.join();
  }
  EXPECT_EQ(awake, kFibers);
  fibers.clear();

  // Their stacks serve again.
  for (int i = 0; i < kFibers; ++i) {
    spawn([&] { --awake; }).detach();
    if (i % 1000 == 999) {
      yield();
    }
  }
  while (awake > 0) {
    yield();
  }
  EXPECT_EQ(kilobytes("/proc/self/status", "VmHWM") / 1024 / 1024, peak / 1024 / 1024);
  std::printf("all of it in %.2f s\n", seconds_since(start));
}

}  // namespace
}  // namespace ramie::test

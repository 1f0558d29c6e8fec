// Light fibers get their stacks when they first run.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>
#include <sys/resource.h>

#include <array>
#include <cstdint>
#include <set>
#include <system_error>
#include <vector>

#include "core/sanitizer.h"

namespace ramie {
namespace {

uintptr_t address_on_stack() { return reinterpret_cast<uintptr_t>(__builtin_frame_address(0)); }

TEST(LateStack, ManyThatNeverWaitRunOnFewStacks) {
  std::set<uintptr_t> places;
  std::vector<fiber<void>> fibers;
  for (int i = 0; i < 1000; ++i) {
    fibers.push_back(spawn([&places] { places.insert(address_on_stack()); }));
  }
  for (auto& one : fibers) {
    one.join();
  }
  EXPECT_GE(places.size(), 1U);
  EXPECT_LE(places.size(), 4U);
}

// Larger than what has room beside a control block.
using Large = std::array<char, 1000>;

TEST(LateStack, LargeResultsOutliveTheirFibers) {
  std::vector<fiber<Large>> fibers;
  for (int i = 0; i < 100; ++i) {
    Large mine;
    mine.fill(static_cast<char>(i));
    fibers.push_back(spawn([mine] { return mine; }));
  }
  fibers.back().join();
  for (int i = 0; i < 200; ++i) {  // these would take the stacks
    spawn([] { yield(); }).join();
  }
  for (int i = 0; i < 100; ++i) {
    Large expected;
    expected.fill(static_cast<char>(i));
    EXPECT_EQ(fibers[static_cast<size_t>(i)].get(), expected) << i;
  }
}

TEST(LateStack, FibersThatAreDroppedAtOnceRunAllTheSame) {
  int ran = 0;
  Large unused{};
  for (int i = 0; i < 300; ++i) {
    spawn([&ran] { ++ran; }).detach();
    spawn([&ran, unused] { ran += 1 + unused[0]; }).detach();
  }
  while (ran < 600) {
    yield();
  }
}

// All wait at the same time, so that each has a stack.  Answers how many there were.
int spawn_until_it_fails() {
  event gate;
  int waiting = 0;
  std::vector<fiber<void>> fibers;
  fibers.reserve(100'000);
  try {
    for (;;) {
      fibers.push_back(spawn([&] {
        ++waiting;
        gate.wait();
      }));
    }
  } catch (const std::system_error& error) {
    if (error.code() != std::error_code(EAGAIN, std::generic_category())) {
      return 0;
    }
  }
  int count = static_cast<int>(fibers.size());
  while (waiting < count) {
    yield();
  }
  gate.set();
  for (auto& one : fibers) {
    one.join();
  }
  return count;
}

// Exits with 0 if that goes well, twice.
[[noreturn]] void fill_addresses() {
  spawn([] {}).join();
  constexpr rlim_t kLeft = 512UL << 20;
  const rlimit limit{kLeft, kLeft};
  if (setrlimit(RLIMIT_AS, &limit) != 0) {
    _exit(1);
  }
  int first = spawn_until_it_fails();
  int second = spawn_until_it_fails();
  _exit(first > 500 && second >= first ? 0 : 2);
}

TEST(LateStack, WhoWasSpawnedHasAStackWhereNoAddressesAreLeft) {
  if (core::kIsSanitized) {
    GTEST_SKIP() << "sanitizers need more addresses than a limit would leave";
  }
  EXPECT_EXIT(fill_addresses(), testing::ExitedWithCode(0), "");
}

}  // namespace
}  // namespace ramie

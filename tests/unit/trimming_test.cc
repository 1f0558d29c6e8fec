// Memory of stacks that are not needed any more.
#include <gtest/gtest.h>
#include <ramie/fiber.h>
#include <ramie/sync.h>

#include <chrono>
#include <fstream>
#include <vector>

#include "core/park.h"
#include "core/sanitizer.h"

namespace ramie::test {
namespace {

// A sanitizer's own memory is in the figures, too.
#if !defined(RAMIE_ASAN) && !defined(RAMIE_TSAN)

using namespace std::chrono_literals;

constexpr int kFibers = 4000;

long resident_pages() {
  std::ifstream file("/proc/self/statm");
  long size = 0;
  long resident = 0;
  file >> size >> resident;
  return resident;
}

// Fibers that wait at the same time.  Those of the first round leave tickets of three parks each;
// in the second one nobody may be woken by these.
void run_fibers(std::vector<core::Ticket>& tickets) {
  const bool is_first = tickets.empty();
  int started = 0;
  std::vector<fiber<void>> fibers;
  fibers.reserve(kFibers);
  event leave;
  int woken = 0;
  for (int i = 0; i < kFibers; ++i) {
    fibers.push_back(spawn([&] {
      ++started;
      for (int park = 0; is_first && park < 3; ++park) {
        tickets.push_back(core::prepare_park());
        core::abandon_park();
      }
      leave.wait();
      ++woken;
    }));
  }
  sleep_for(10ms);
  EXPECT_EQ(started, kFibers);
  for (core::Ticket ticket : tickets) {
    EXPECT_FALSE(core::unpark(ticket));
  }
  sleep_for(10ms);
  EXPECT_EQ(woken, 0);
  leave.set();
  for (auto& fiber : fibers) {
    fiber.join();
  }
  EXPECT_EQ(woken, kFibers);
}

TEST(Trimming, GivesBackMemoryAndStaleTicketsStayStale) {
  long before = resident_pages();
  std::vector<core::Ticket> tickets;
  run_fibers(tickets);
  EXPECT_GT(resident_pages() - before, kFibers);
  auto end = std::chrono::steady_clock::now() + 60s;
  while (resident_pages() - before > kFibers / 2 && std::chrono::steady_clock::now() < end) {
    sleep_for(100ms);
  }
  EXPECT_LE(resident_pages() - before, kFibers / 2);
  run_fibers(tickets);
}

#endif

}  // namespace
}  // namespace ramie::test

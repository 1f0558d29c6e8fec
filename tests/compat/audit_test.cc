// RAMIE_AUDIT: what is listed of a program that holds up its kernel threads; and by it, what
// RAMIE_PATCH and RAMIE_NATIVE leave to the kernel.  Set by meson.build:
// HOLDS, RAMIE_PRELOAD.
#include <gtest/gtest.h>

#include <algorithm>
#include <sstream>
#include <string>

#include "support/process.h"
#include "support/twin_pair.h"

namespace {

using ramie::testing::hosted;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::run_program;
using ramie::testing::setting;

std::string audit_of(const std::string& value, const std::string& milliseconds,
                     const std::string& more = "RAMIE_LOG=off") {
  const Program program{{setting("HOLDS"), milliseconds}, {"RAMIE_AUDIT=" + value, more}, {}};
  const Outcome outcome = run_program(hosted(program));
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  EXPECT_EQ(outcome.output, "done\n");
  return outcome.errors;
}

// The first row that says `what`; empty if there is none.
std::string row(const std::string& report, const std::string& what) {
  std::istringstream lines(report);
  for (std::string line; std::getline(lines, line);) {
    if (line.find("  " + what) != std::string::npos) return line;
  }
  return "";
}

TEST(Audit, CallsAndLoopsThatHoldUpAKernelThreadAreListed) {
  const std::string report = audit_of("on", "400");
  EXPECT_NE(report.find("what has held up a kernel thread for 10 ms or longer\n"),
            std::string::npos)
      << report;
  EXPECT_NE(row(report, "in nanosleep: ").find("(sleep_past_libc+0x"), std::string::npos) << report;
  std::istringstream words(row(report, "in nanosleep"));
  std::string ramie;
  long times = 0;
  long total = 0;
  long longest = 0;
  words >> ramie >> times >> total >> longest;
  EXPECT_GE(times, 1) << report;
  EXPECT_GE(total, longest) << report;
  EXPECT_GE(longest, 10) << report;
  EXPECT_NE(row(report, "in vfork"), "") << report;
  EXPECT_NE(row(report, "computing"), "") << report;
  // The sleep through libc is none of them: it parks.
  EXPECT_EQ(row(report, "in clock_nanosleep"), "") << report;
}

TEST(Audit, GoesToTheFileOfTheLog) {
  const ramie::testing::ScratchDirectory scratch;
  EXPECT_EQ(audit_of("on", "50", "RAMIE_LOG_FILE=" + scratch.file("log")), "");
  const std::string report = ramie::testing::read_file(scratch.file("log"));
  EXPECT_NE(row(report, "in nanosleep: "), "") << report;
}

TEST(Audit, IsNotLostWithAFileThatCannotBeOpened) {
  EXPECT_NE(row(audit_of("on", "50", "RAMIE_LOG_FILE=/no/such/folder/log"), "in nanosleep: "), "");
}

TEST(Audit, ALongerThresholdListsNothing) {
  EXPECT_NE(
      audit_of("10000", "1").find(": nothing has held up a kernel thread for 10000 ms or longer"),
      std::string::npos);
}

TEST(Families, ACallThatIsLeftOutHoldsItsKernelThread) {
  const std::string report = audit_of("on", "400", "RAMIE_PATCH=-sleep,-file");
  EXPECT_NE(row(report, "in clock_nanosleep"), "") << report;
  EXPECT_EQ(row(audit_of("50", "200", "RAMIE_PATCH=sleep"), "in clock_nanosleep"), "");
}

TEST(Native, TheThreadsOfAProgramThatIsNamedAreLeftToTheKernel) {
  EXPECT_EQ(audit_of("on", "50", "RAMIE_NATIVE=other,holds"), "");
  EXPECT_NE(audit_of("10000", "1", "RAMIE_NATIVE=other"), "");
}

TEST(Audit, IsOffByDefault) { EXPECT_EQ(audit_of("off", "1"), ""); }

}  // namespace

// Programs of other languages, natively and under the preload: same output, same exit code, and
// threads that were hosted.  Set by meson.build: PROGRAMS_DIR, RAMIE_PRELOAD.
//
// An interpreter that is missing is skipped; `./dev compat programs` brings them all.
#include <gtest/gtest.h>

#include <string>

#include "support/twin_pair.h"

namespace {

using ramie::testing::HostedRun;
using ramie::testing::Outcome;
using ramie::testing::Program;
using ramie::testing::run_hosted;
using ramie::testing::run_program;
using ramie::testing::setting;

// At least `fibers` threads of the program's must have been fibers.
void compare(const char* interpreter, const char* file, long fibers,
             const std::string& variable = "RAMIE_LOG=off") {
  const std::string look = std::string("command -v ") + interpreter;
  if (run_program(Program{{"sh", "-c", look}, {}, {}}).exit_code != 0) {
    GTEST_SKIP() << "there is no " << interpreter;
  }
  Program program{{interpreter, setting("PROGRAMS_DIR") + "/" + file}, {variable}, {}};
  program.limit = std::chrono::seconds(120);
  const Outcome native = run_program(program);
  ASSERT_TRUE(native.ended_well()) << native.ending() << native.errors;
  const HostedRun run = run_hosted(program);
  EXPECT_TRUE(run.outcome.ended_well()) << run.outcome.ending() << run.outcome.errors;
  EXPECT_EQ(run.outcome.output, native.output);
  EXPECT_GE(run.figures.fibers, fibers);
  if (fibers > 0) {
    EXPECT_GT(run.figures.switches, run.figures.fibers);
  }
}

TEST(Programs, RubysThreadsAreHosted) { compare("ruby", "threads.rb", 8); }

TEST(Programs, PerlsInterpreterThreadsAreHosted) { compare("perl", "threads.pl", 9); }

TEST(Programs, NodesWorkersAndPoolAreHosted) { compare("node", "threads.js", 7); }

TEST(Programs, JavasThreadsAreHosted) { compare("java", "Threads.java", 10); }

// The virtual machine has a handler for SIGSEGV, and this mode needs the signal itself.
TEST(Programs, JavasThreadsAreHostedInTrapMode) {
  compare("java", "Threads.java", 10, "RAMIE_FS=trap");
}

TEST(Programs, PhpsProcessesWork) { compare("php", "processes.php", 0); }

}  // namespace

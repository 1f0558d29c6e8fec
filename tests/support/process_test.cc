// The tests' own tool is tested as well: a runner that cannot see a failure makes all tests green.
#include <gtest/gtest.h>
#include <signal.h>

#include "support/run_program.h"

namespace ramie::testing {
namespace {

Program shell(const std::string& script) { return Program{{"sh", "-c", script}, {}, {}}; }

TEST(RunProgram, TellsOutputAndExitCode) {
  const Outcome outcome = run_program(shell("echo out; echo err >&2; exit 3"));
  EXPECT_EQ(outcome.output, "out\n");
  EXPECT_EQ(outcome.errors, "err\n");
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_FALSE(outcome.ended_well());
}

TEST(RunProgram, TellsTheSignal) {
  const Outcome outcome = run_program(shell("kill -TERM $$"));
  EXPECT_EQ(outcome.signal, SIGTERM);
  EXPECT_EQ(outcome.exit_code, -1);
}

TEST(RunProgram, TakesMuchOutput) {
  const Outcome outcome =
      run_program(shell("head -c 3000000 /dev/zero; head -c 1000000 /dev/zero >&2"));
  EXPECT_EQ(outcome.output.size(), 3'000'000u);
  EXPECT_EQ(outcome.errors.size(), 1'000'000u);
}

TEST(RunProgram, SetsEnvironmentAndDirectory) {
  const ScratchDirectory scratch;
  Program program = shell("echo $GREETING; pwd");
  program.environment = {"GREETING=hello"};
  program.directory = scratch.path();
  EXPECT_EQ(run_program(program).output, "hello\n" + scratch.path() + "\n");
}

TEST(RunProgram, EndsAtItsLimitWithAllThatItStarted) {
  Program program = shell("sleep 100 & sleep 100");
  program.limit = std::chrono::milliseconds(100);
  const Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.timed_out);
  EXPECT_FALSE(outcome.ended_well());
  EXPECT_EQ(outcome.signal, SIGKILL);
}

TEST(RunProgram, SaysWhenThereIsNoSuchProgram) {
  EXPECT_EQ(run_program(Program{{"/no/such/program"}, {}, {}}).exit_code, 127);
}

TEST(RunProgram, CountsKernelThreads) {
  int observed = 0;
  const Outcome outcome = run_program(shell("sleep 0.05"), [&] { ++observed; });
  EXPECT_EQ(outcome.peak.threads, 1);
  EXPECT_GT(outcome.peak.kilobytes, 0);
  EXPECT_GT(observed, 0);
}

TEST(Server, TellsItsPortAndEndsWithItsObject) {
  Server server(shell("echo listening on 127.0.0.1:4711; sleep 100"));
  EXPECT_EQ(server.port(), "4711");
  EXPECT_TRUE(server.is_running());
  server.sample();
  EXPECT_EQ(server.peak().threads, 1);
}

TEST(Server, ThatSaysNothingIsAnError) {
  EXPECT_THROW(Server server(shell("exit 1")), std::runtime_error);
}

}  // namespace
}  // namespace ramie::testing

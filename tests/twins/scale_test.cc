// Many threads of unmodified programs, on few kernel threads. Nothing is said about speed but wide
// upper bounds; speed lives in bench/.
#include <gtest/gtest.h>

#include <cstdio>
#include <set>
#include <sstream>

#include "support/twin_pair.h"

namespace ramie::testing {
namespace {

// Every thread says both of its lines, whole.
void expect_both_lines(const std::string& output, int count) {
  std::set<std::string> lines;
  std::istringstream stream(output);
  int number_of_lines = 0;
  for (std::string line; std::getline(stream, line); ++number_of_lines) lines.insert(line);
  EXPECT_EQ(number_of_lines, 2 * count);
  for (int i = 0; i < count; ++i) {
    ASSERT_TRUE(lines.count(std::to_string(i) + ": hello")) << "thread " << i;
    ASSERT_TRUE(lines.count(std::to_string(i) + ": goodbye")) << "thread " << i;
  }
}

void expect_hosted(const HostedRun& run, int count) {
  EXPECT_TRUE(run.outcome.ended_well()) << run.outcome.ending() << "\n" << run.outcome.errors;
  EXPECT_LE(run.outcome.peak.threads, kMostKernelThreads);
  EXPECT_GE(run.figures.fibers, count);
  EXPECT_GE(run.figures.switches, count);
}

TEST(Scale, TenThousandPythonThreadsSleep) {
  constexpr int kCount = 10'000;
  Program program;
  program.arguments = {setting("TWIN_PYTHON"), setting("DEMO_SOURCE_DIR") + "/hello_threads.py",
                       std::to_string(kCount)};
  program.limit = std::chrono::seconds(180);  // one after another: eight hours
  const HostedRun run = run_hosted(program);
  expect_hosted(run, kCount);
  expect_both_lines(run.outcome.output, kCount);
}

TEST(Scale, TenThousandThreadsOfCSleep) {
  constexpr int kCount = 10'000;
  Program program;
  program.arguments = {setting("DEMO_BIN_DIR") + "/hello_threads", std::to_string(kCount), "1"};
  const HostedRun run = run_hosted(program);
  expect_hosted(run, kCount);
  expect_both_lines(run.outcome.output, kCount);
}

TEST(Scale, HundredThousandThreadsAreAsleepAtOnce) {
  constexpr int kCount = 100'000;
  Program program;
  program.arguments = {setting("TWIN_BIN_DIR") + "/many_threads", std::to_string(kCount)};
  program.limit = std::chrono::seconds(240);
  const HostedRun run = run_hosted(program);
  expect_hosted(run, kCount);
  EXPECT_EQ(run.outcome.output.find("asleep at once 100000"), 0u) << run.outcome.output;
  std::printf("%s", run.outcome.output.c_str());
}

TEST(Scale, EchoServerServesFiveThousandAtOnce) {
  Server server(hosted(Program{{setting("DEMO_BIN_DIR") + "/thread_echo", "0"}, {}, {}}));
  Program load;
  load.arguments = {setting("TWIN_BIN_DIR") + "/echo_load", server.port(), "5000", "10"};
  load.limit = std::chrono::seconds(240);
  const Outcome outcome = run_program(load, [&] { server.sample(); });
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << "\n" << outcome.errors;
  EXPECT_EQ(outcome.output,
            "connected at once 5000, finished 4500, torn down 500, echoed 47000, wrong 0\n");
  EXPECT_TRUE(server.is_running());
  EXPECT_GE(server.peak().threads, 1);
  EXPECT_LE(server.peak().threads, kMostKernelThreads);
  std::printf("kernel threads %d, peak memory %ld kB\n", server.peak().threads,
              server.peak().kilobytes);
}

}  // namespace
}  // namespace ramie::testing

// A program on the native API whose blocking calls the preload makes cooperative.
#include <gtest/gtest.h>

#include <string>

#include "support/run_program.h"
#include "support/twin_pair.h"

namespace ramie::testing {
namespace {

TEST(LightFibers, SwitchAtTheCallsThatTheyMakeByName) {
  Program program{{setting("LIGHT_CALLS")}, {"LD_PRELOAD=" + setting("RAMIE_PRELOAD")}, {}};
  Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  EXPECT_EQ(outcome.output,
            "main got a while others ran\n"
            "a fiber got b while others ran\n"
            "main, from a thread, got c while others ran\n"
            "a semaphore's waiter got d while others ran\n"
            "errno stayed\n");
}

TEST(LightFibers, LeaveTheirCallsWhenTheyAreCancelledOrTimedOut) {
  Program program{{setting("LIGHT_CANCEL")}, {"LD_PRELOAD=" + setting("RAMIE_PRELOAD")}, {}};
  Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  std::string expected;
  for (std::string call : {"read", "recv", "poll", "select", "accept"}) {
    expected += call + ", cancelled: Operation canceled, then thrown\n";
    expected += call + ", timed out: Operation canceled, then thrown\n";
  }
  expected += "while another exception is on its way: thrown alone\n";
  EXPECT_EQ(outcome.output, expected + "read: success x\n");
}

TEST(LightFibers, AreStartedAndAwaitedBySignalHandlersToo) {
  Program program{{setting("LIGHT_SIGNALS")}, {"LD_PRELOAD=" + setting("RAMIE_PRELOAD")}, {}};
  Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  EXPECT_EQ(outcome.output, "all fibers have run\n");
}

TEST(LightFibers, UseTheWholeLibraryWithAndWithoutThePreload) {
  for (const std::string& preload : {std::string(), "LD_PRELOAD=" + setting("RAMIE_PRELOAD")}) {
    Program program{{setting("LIGHT_LIBRARY")}, {}, {}};
    if (!preload.empty()) {
      program.environment.push_back(preload);
    }
    Outcome outcome = run_program(program);
    EXPECT_TRUE(outcome.ended_well()) << preload << outcome.ending() << outcome.errors;
    EXPECT_EQ(outcome.output,
              "100 answers, the last is 99\n"
              "offload 7, others ran\n"
              "sort: b\na\n"
              "signal SIGTERM\n"
              "limit 2\n"
              "first 1\n"
              "stop in time\n")
        << preload;
  }
}

}  // namespace
}  // namespace ramie::testing

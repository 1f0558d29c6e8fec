#include "base/config.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace ramie::base {
namespace {

// What one environment is understood as; `error` is empty if it is.
struct Parsed {
  Config config;
  std::string error;
};

Parsed parse(std::vector<const char*> environment) {
  environment.push_back(nullptr);
  Parsed parsed;
  char error[256] = "";
  if (!parse_config(environment.data(), parsed.config, error, sizeof error)) {
    parsed.error = error;
  }
  return parsed;
}

TEST(Config, WithoutVariablesEverythingHasItsDefault) {
  Parsed parsed = parse({"PATH=/bin", "RAMIEX=1", "NOT_RAMIE_FS=nonsense"});
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.config.carriers, 0U);
  EXPECT_EQ(parsed.config.slice, 10'000'000);
  EXPECT_EQ(parsed.config.fs, FsChoice::automatic);
  EXPECT_EQ(parsed.config.stack_size, 65536U);
  EXPECT_EQ(parsed.config.guards, GuardChoice::automatic);
  EXPECT_EQ(parsed.config.poller, PollerChoice::automatic);
  EXPECT_EQ(parsed.config.deadlock, DeadlockAction::off);
  EXPECT_EQ(parsed.config.log, LogLevel::off);
  EXPECT_EQ(parsed.config.blocked, BlockedAction::off);
  EXPECT_EQ(parsed.config.audit, Config::kNoAudit);
  EXPECT_TRUE(parsed.config.hosting);
}

TEST(Config, FamiliesAreNamedOrLeftOut) {
  EXPECT_EQ(parse({"RAMIE_PATCH=all"}).config.families_off, 0U);
  EXPECT_EQ(parse({"RAMIE_PATCH=-poll,-ipc"}).config.families_off,
            static_cast<unsigned>(bit(Family::poll) | bit(Family::ipc)));
  EXPECT_EQ(parse({"RAMIE_PATCH=sleep"}).config.families_off, 0xffU & ~bit(Family::sleep));
  for (const char* wrong :
       {"RAMIE_PATCH=", "RAMIE_PATCH=-", "RAMIE_PATCH=io,", "RAMIE_PATCH=thread",
        "RAMIE_PATCH=io,-poll", "RAMIE_PATCH=-io,poll", "RAMIE_NATIVE=", "RAMIE_NATIVE=ls,",
        "RAMIE_NATIVE=lib:", "RAMIE_NATIVE=bin/ls",
        "RAMIE_NATIVE=thread:", "RAMIE_NATIVE=thread:x,", "RAMIE_NATIVE=other:x"}) {
    EXPECT_NE(parse({wrong}).error, "") << wrong;
  }
}

TEST(Config, NativeNamesArePlainOrBehindAPrefix) {
  for (const char* good : {"RAMIE_NATIVE=ls", "RAMIE_NATIVE=ls,lib:libx.so,thread:pool-*",
                           "RAMIE_NATIVE=thread:kworker/0:1"}) {
    EXPECT_EQ(parse({good}).error, "") << good;
  }
}

TEST(Config, ReadsEachVariable) {
  Parsed parsed =
      parse({"RAMIE_CARRIERS=3", "RAMIE_SLICE=25", "RAMIE_FS=trap", "RAMIE_STACK_SIZE=128k",
             "RAMIE_GUARDS=mprotect", "RAMIE_DEADLOCK=abort", "RAMIE_LOG=info", "RAMIE_HOSTING=off",
             "RAMIE_ENTRY=sud", "RAMIE_POLLER=io_uring"});
  EXPECT_EQ(parsed.error, "");
  EXPECT_EQ(parsed.config.carriers, 3U);
  EXPECT_EQ(parsed.config.slice, 25'000'000);
  EXPECT_EQ(parsed.config.fs, FsChoice::trap);
  EXPECT_EQ(parsed.config.stack_size, 131072U);
  EXPECT_EQ(parsed.config.guards, GuardChoice::mprotect);
  EXPECT_EQ(parsed.config.deadlock, DeadlockAction::abort);
  EXPECT_EQ(parsed.config.log, LogLevel::info);
  EXPECT_FALSE(parsed.config.hosting);
  EXPECT_EQ(parsed.config.entry, EntryChoice::sud);
  EXPECT_EQ(parsed.config.poller, PollerChoice::io_uring);
}

TEST(Config, SizesHaveSuffixes) {
  EXPECT_EQ(parse({"RAMIE_STACK_SIZE=65537"}).config.stack_size, 65537U);
  EXPECT_EQ(parse({"RAMIE_STACK_SIZE=2m"}).config.stack_size, 2U * 1024 * 1024);
  EXPECT_EQ(parse({"RAMIE_STACK_SIZE=1024m"}).error, "");
}

TEST(Config, ABadValueIsOneLineThatSaysWhatIsAccepted) {
  EXPECT_EQ(parse({"RAMIE_FS=magic"}).error,
            "ramie: RAMIE_FS=magic is not understood; use auto, fsgsbase, trap or prctl");
  EXPECT_EQ(parse({"RAMIE_ENTRY=ptrace"}).error,
            "ramie: RAMIE_ENTRY=ptrace is not understood; use auto, patch, sud or symbols");
  EXPECT_EQ(parse({"RAMIE_POLLER=uring"}).error,
            "ramie: RAMIE_POLLER=uring is not understood; use auto, epoll or io_uring");
  for (const char* bad : {"RAMIE_CARRIERS=0",
                          "RAMIE_CARRIERS=257",
                          "RAMIE_CARRIERS=",
                          "RAMIE_CARRIERS=two",
                          "RAMIE_SLICE=0",
                          "RAMIE_FS=",
                          "RAMIE_FS=Trap",
                          "RAMIE_FS=trap ",
                          "RAMIE_STACK_SIZE=8k",
                          "RAMIE_STACK_SIZE=1025m",
                          "RAMIE_STACK_SIZE=64K",
                          "RAMIE_STACK_SIZE=-64k",
                          "RAMIE_STACK_SIZE=k",
                          "RAMIE_STACK_SIZE=0x10000",
                          "RAMIE_STACK_SIZE=99999999999999999999",
                          "RAMIE_GUARDS=no",
                          "RAMIE_DEADLOCK=1",
                          "RAMIE_LOG=verbose",
                          "RAMIE_LOG_FILE=log",
                          "RAMIE_MAX_BLOCKED=0",
                          "RAMIE_MAX_BLOCKED=4097",
                          "RAMIE_HOSTING=1"}) {
    std::string error = parse({bad}).error;
    EXPECT_NE(error.find(bad), std::string::npos) << error;
    EXPECT_NE(error.find("; use "), std::string::npos) << error;
    EXPECT_EQ(error.find('\n'), std::string::npos) << error;
  }
}

TEST(Config, AnErrorIsCutToItsRoom) {
  const char* environment[] = {"RAMIE_LOG=loud", nullptr};
  Config config;
  char error[10];
  EXPECT_FALSE(parse_config(environment, config, error, sizeof error));
  EXPECT_STREQ(error, "ramie: RA");
}

TEST(ConfigDeathTest, ABadEnvironmentEndsTheProgramWithStatusTwo) {
  EXPECT_EXIT(
      {
        setenv("RAMIE_LOG", "loud", 1);
        (void)config();
      },
      ::testing::ExitedWithCode(2), "^ramie: RAMIE_LOG=loud is not understood; use [^\n]*\n$");
}

}  // namespace
}  // namespace ramie::base

// The C header, alone and with the shim loaded.
#include <gtest/gtest.h>

#include <string>

#include "support/run_program.h"
#include "support/twin_pair.h"

namespace ramie::testing {
namespace {

std::string expected(bool with_shim) {
  return "spawned, ids differ: 1, self 0\n"
         "one\ntwo\none again\ntwo again\n"
         "joined: 0 0\n"
         "in time: 0\n"
         "at the limit: 0\n"
         "readable: 1\n"
         "not open: 1\n"
         "deadlock: 1\n"
         "detached\ndetached again\n" +
         std::string(with_shim ? "usleep is patched: 1, its original is another\n"
                               : "usleep is patched: 0, its original is what is called\n") +
         "strlen is patched: 0, no such name: 0 1\n"
         "version 1\n";
}

TEST(CApi, RunsFibersAndKnowsThatThereIsNoShim) {
  Program program{{setting("C_API")}, {}, {}};
  Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  EXPECT_EQ(outcome.output, expected(false));
}

TEST(CApi, AsksTheShimWhereItIsLoaded) {
  Program program{{setting("C_API")}, {"LD_PRELOAD=" + setting("RAMIE_PRELOAD")}, {}};
  Outcome outcome = run_program(program);
  EXPECT_TRUE(outcome.ended_well()) << outcome.ending() << outcome.errors;
  EXPECT_EQ(outcome.output, expected(true));
}

}  // namespace
}  // namespace ramie::testing

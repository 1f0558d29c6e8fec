#include "interpose/host/native_names.h"

#include <gtest/gtest.h>

#include <cstdlib>

using ramie::host::is_library;
using ramie::host::is_native_library;
using ramie::host::is_native_program;
using ramie::host::is_native_thread_name;
using ramie::host::matches;

namespace {

TEST(NativeNames, StarsStandForAnyText) {
  EXPECT_TRUE(matches("pool", "pool"));
  EXPECT_FALSE(matches("pool", "pool-1"));
  EXPECT_FALSE(matches("pool", "poo"));
  EXPECT_TRUE(matches("pool-*", "pool-1"));
  EXPECT_TRUE(matches("pool-*", "pool-"));
  EXPECT_TRUE(matches("*", ""));
  EXPECT_TRUE(matches("*-io", "net-io"));
  EXPECT_FALSE(matches("*-io", "net-io-2"));
  EXPECT_TRUE(matches("a*b*c", "a-b-b-c"));
  EXPECT_FALSE(matches("a*b*c", "a-c-b"));
  EXPECT_TRUE(matches("*ab", "aab"));
  EXPECT_FALSE(matches("", "a"));
}

TEST(NativeNames, LibrariesMayHaveAVersion) {
  EXPECT_TRUE(is_library("libx.so", "libx.so"));
  EXPECT_TRUE(is_library("libx.so", "libx.so.1"));
  EXPECT_FALSE(is_library("libx.so", "libx.so2"));
}

// The configuration is read once, so there is one list.
TEST(NativeNames, EachKindHasNamesOfItsOwn) {
  setenv("RAMIE_NATIVE", "gdb,lib:libx.so,thread:pool-*,thread:exactly-fifteen-and-more", 1);
  EXPECT_TRUE(is_native_program("gdb"));
  EXPECT_FALSE(is_native_program("libx.so"));
  EXPECT_FALSE(is_native_program("pool-1"));
  EXPECT_TRUE(is_native_library("libx.so.2"));
  EXPECT_FALSE(is_native_library("gdb"));
  EXPECT_TRUE(is_native_thread_name("pool-1"));
  EXPECT_FALSE(is_native_thread_name("gdb"));
  // The kernel keeps 15 bytes of a name.
  EXPECT_TRUE(is_native_thread_name("exactly-fifteen"));
  EXPECT_FALSE(is_native_thread_name("exactly-fiftee"));
}

}  // namespace

// What the patcher reads of a loaded object, compared with what the dynamic linker says.
#include <dlfcn.h>
#include <gtest/gtest.h>

#include <cstring>

#include "interpose/patch/elf_object.h"

namespace ramie::patch {
namespace {

class ElfObjectTest : public testing::Test {
 protected:
  void SetUp() override { ASSERT_TRUE(libc_.open("libc.so.6")); }

  ElfObject libc_;
};

const std::uint8_t* by_dlsym(const char* name) {
  return static_cast<const std::uint8_t*>(dlsym(RTLD_DEFAULT, name));
}

TEST_F(ElfObjectTest, RefusesAnObjectThatIsNotLoaded) {
  ElfObject none;
  EXPECT_FALSE(none.open("libnowhere.so.9"));
  EXPECT_FALSE(none.open("libc.so"));
}

TEST_F(ElfObjectTest, SymbolsAreThoseOfTheDynamicLinker) {
  for (const char* name : {"read", "write", "fork", "syscall", "pthread_create", "nanosleep"}) {
    const TextRange code = libc_.symbol(name);
    EXPECT_EQ(code.begin, by_dlsym(name)) << name;
    EXPECT_GT(code.size(), 0u) << name;
    EXPECT_EQ(libc_.function_containing(code.begin).begin, code.begin) << name;
  }
  EXPECT_EQ(libc_.symbol("ramie_no_such_symbol").begin, nullptr);
  EXPECT_EQ(libc_.symbol("environ").begin, nullptr) << "data is no code";
}

TEST_F(ElfObjectTest, VisitsTheSymbolsThatCanBeLookedUp) {
  std::size_t count = 0;
  bool seen_read = false;
  libc_.for_each_symbol([&](const std::uint8_t* address) {
    ++count;
    seen_read |= address == by_dlsym("read");
    EXPECT_TRUE(libc_.text().contains(address));
  });
  EXPECT_GT(count, 1000u);
  EXPECT_TRUE(seen_read);
}

TEST_F(ElfObjectTest, FunctionsAreInOrderAndDoNotOverlap) {
  ASSERT_GT(libc_.function_count(), 1000u);
  for (std::size_t i = 0; i + 1 < libc_.function_count(); ++i) {
    const TextRange function = libc_.function(i);
    ASSERT_LE(function.begin, function.end);
    ASSERT_LE(function.end, libc_.function(i + 1).begin);
    ASSERT_TRUE(libc_.text().contains(function.begin));
    ASSERT_EQ(libc_.function_at_or_before(function.begin), i);
  }
}

TEST_F(ElfObjectTest, AFunctionThatIsDescribedInPartIsFoundAsAWhole) {
  // clone() ends its own description before its system call.
  const TextRange clone = libc_.symbol("clone");
  ASSERT_NE(clone.begin, nullptr);
  for (const std::uint8_t* at = clone.begin; at < clone.end; ++at) {
    const TextRange around = libc_.function_containing(at);
    ASSERT_TRUE(around.contains(at)) << at - clone.begin;
  }
}

TEST_F(ElfObjectTest, OneFunctionIsWhatSignalHandlersReturnTo) {
  std::size_t count = 0;
  for (std::size_t i = 0; i < libc_.function_count(); ++i) {
    if (!libc_.is_signal_return(i)) continue;
    ++count;
    // mov $15,%rax; syscall: one byte behind the start that is described.
    EXPECT_EQ(std::memcmp(libc_.function(i).begin + 1, "\x48\xc7\xc0\x0f\0\0\0\x0f\x05", 9), 0);
  }
  EXPECT_EQ(count, 1u);
}

}  // namespace
}  // namespace ramie::patch

// The choice of sites: on code written here for the purpose, and on this machine's libc.
#include <dlfcn.h>
#include <gtest/gtest.h>
#include <sys/syscall.h>

#include <cstring>
#include <vector>

#include "interpose/patch/scan.h"

namespace ramie::patch {
namespace {

// A function of one site, examined on its own.
struct Example {
  std::vector<std::uint8_t> code;
  Site site;

  Example(std::vector<std::uint8_t> bytes, const NumberSet& wanted) : code(std::move(bytes)) {
    const TextRange function{code.data(), code.data() + code.size()};
    ControlFlow flow;
    EXPECT_TRUE(flow.read(function, nullptr));
    for (std::size_t i = 0; i + 1 < code.size(); ++i) {
      if (code[i] == 0x0f && code[i + 1] == 0x05) site.syscall = code.data() + i;
    }
    examine(site, flow, function, {}, wanted);
  }
};

TEST(Examine, ALoadOfTheNumberIsReplacedTogetherWithTheCall) {
  // mov $202,%eax; syscall; ret
  const Example example({0xb8, 0xca, 0, 0, 0, 0x0f, 0x05, 0xc3}, NumberSet::of(SYS_futex));
  EXPECT_EQ(example.site.verdict, Verdict::kPatch);
  EXPECT_EQ(example.site.shape, Shape::kLoad);
  EXPECT_EQ(example.site.number, SYS_futex);
  EXPECT_EQ(example.site.number_source, NumberSource::kKnown);
  EXPECT_EQ(example.site.length, 7);
}

TEST(Examine, AKnownNumberThatNobodyWantsIsLeftAlone) {
  const Example example({0xb8, 0xca, 0, 0, 0, 0x0f, 0x05, 0xc3}, NumberSet::of(SYS_read));
  EXPECT_EQ(example.site.verdict, Verdict::kForward);
}

TEST(Examine, AComparisonBehindTheCallMakesRoom) {
  // jne +0; xor %eax,%eax; syscall; cmp $-4096,%rax; ret
  const Example example(
      {0x75, 0x00, 0x31, 0xc0, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3},
      NumberSet::of(SYS_read));
  EXPECT_EQ(example.site.verdict, Verdict::kPatch);
  EXPECT_EQ(example.site.shape, Shape::kFollowed);
  EXPECT_EQ(example.site.length, 8);
  // A branch to xor joins before it, not behind.
  EXPECT_EQ(example.site.number, SYS_read);
  EXPECT_EQ(example.site.number_source, NumberSource::kKnown);
}

TEST(Examine, ACallThatIsFollowedByABranchTakesWhatComesBefore) {
  // mov $60,%edx; 1: xor %edi,%edi; mov %edx,%eax; syscall; jmp 1b
  const Example example({0xba, 0x3c, 0, 0, 0, 0x31, 0xff, 0x89, 0xd0, 0x0f, 0x05, 0xeb, 0xf8},
                        NumberSet());
  EXPECT_EQ(example.site.verdict, Verdict::kPatch) << "its number is not known for sure";
  EXPECT_EQ(example.site.shape, Shape::kPreceded);
  EXPECT_EQ(example.site.number, SYS_exit);
  EXPECT_EQ(example.site.number_source, NumberSource::kLikely);
  EXPECT_EQ(example.site.length, 6);
}

TEST(Examine, NeighboursOnBothSidesMakeRoom) {
  // ret; mov (%rdi),%eax; syscall; mov %eax,%edx; ret
  const Example example({0xc3, 0x8b, 0x07, 0x0f, 0x05, 0x89, 0xc2, 0xc3}, NumberSet());
  EXPECT_EQ(example.site.verdict, Verdict::kPatch);
  EXPECT_EQ(example.site.shape, Shape::kSurrounded);
  EXPECT_EQ(example.site.number_source, NumberSource::kRunTime);
}

TEST(Examine, ABranchToTheCallItselfKeepsItsLoadInPlace) {
  // jmp 1f; mov $202,%eax; 1: syscall; cmp $-4096,%rax; ret
  const Example example(
      {0xeb, 0x05, 0xb8, 0xca, 0, 0, 0, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3},
      NumberSet::of(SYS_futex));
  EXPECT_EQ(example.site.verdict, Verdict::kPatch);
  EXPECT_EQ(example.site.shape, Shape::kFollowed);
  EXPECT_EQ(example.site.begin, example.site.syscall);
  EXPECT_EQ(example.site.number_source, NumberSource::kLikely);
}

TEST(Examine, ABranchBehindTheCallIsARefusal) {
  // jmp 1f; syscall; 1: cmp $-4096,%rax; ret
  const Example example({0xeb, 0x02, 0x0f, 0x05, 0x48, 0x3d, 0x00, 0xf0, 0xff, 0xff, 0xc3},
                        NumberSet::all());
  EXPECT_EQ(example.site.verdict, Verdict::kRefuse);
  EXPECT_EQ(example.site.refusal, Refusal::kBranchInside);
}

TEST(Examine, NoRoomIsARefusal) {
  // ret; syscall; ret
  const Example alone({0xc3, 0x0f, 0x05, 0xc3}, NumberSet::all());
  EXPECT_EQ(alone.site.refusal, Refusal::kImmovable);
  // ret; lea 0(%rip),%rsi; syscall; push %rax; ret
  const Example pinned({0xc3, 0x48, 0x8d, 0x35, 0, 0, 0, 0, 0x0f, 0x05, 0x50, 0xc3},
                       NumberSet::all());
  EXPECT_EQ(pinned.site.refusal, Refusal::kImmovable);
}

TEST(Examine, CallsThatNeedTheirOwnStackAreNeverTurned) {
  for (const int number : {SYS_rt_sigreturn, SYS_vfork, SYS_clone}) {
    const Example example({0xb8, static_cast<std::uint8_t>(number), 0, 0, 0, 0x0f, 0x05, 0xc3},
                          NumberSet::all());
    EXPECT_EQ(example.site.refusal, Refusal::kOwnStackFrame) << number;
  }
}

class ScanTest : public testing::Test {
 protected:
  void SetUp() override {
    ASSERT_TRUE(libc_.open("libc.so.6"));
    ASSERT_TRUE(scan(libc_, NumberSet::all(), sites_));
  }

  ElfObject libc_;
  ScratchArray<Site> sites_{4096};
};

TEST_F(ScanTest, NearlyAllOfLibcCanBeTurned) {
  std::size_t patched = 0;
  for (const Site& site : sites_) patched += site.verdict == Verdict::kPatch;
  EXPECT_GT(sites_.size(), 300u);
  EXPECT_GE(patched + 10, sites_.size());
}

TEST_F(ScanTest, TheCallsThatHostingNeedsAreComplete) {
  for (const int number : {SYS_futex, SYS_read, SYS_poll, SYS_clone3, SYS_exit}) {
    std::size_t patched = 0;
    for (const Site& site : sites_) {
      if (site.number != number) continue;
      EXPECT_EQ(site.verdict, Verdict::kPatch)
          << number << " at " << static_cast<const void*>(site.syscall);
      ++patched;
    }
    EXPECT_GT(patched, 0u) << number;
  }
  for (const Site& site : sites_) {
    EXPECT_FALSE(site.verdict == Verdict::kRefuse && site.number == Site::kNoNumber);
  }
}

TEST_F(ScanTest, EverySiteIsOneFunctionsOwnAndApartFromTheNext) {
  const Site* last = nullptr;
  for (const Site& site : sites_) {
    ASSERT_EQ(std::memcmp(site.syscall, "\x0f\x05", 2), 0);
    if (site.verdict != Verdict::kPatch) continue;
    EXPECT_GE(site.length, kJumpLength);
    EXPECT_EQ(site.length, site.before + kSyscallLength + site.after);
    const TextRange function = libc_.function_containing(site.syscall);
    EXPECT_TRUE(function.contains(site.begin));
    EXPECT_LE(site.begin + site.length, function.end);
    if (last != nullptr) {
      EXPECT_GE(site.begin, last->begin + last->length);
    }
    last = &site;
  }
}

TEST_F(ScanTest, CloneIsTurnedInForkAlone) {
  const TextRange fork = libc_.symbol("_Fork");
  ASSERT_NE(fork.begin, nullptr);
  bool seen = false;
  for (const Site& site : sites_) {
    if (site.number == SYS_clone) {
      EXPECT_EQ(site.verdict == Verdict::kPatch, fork.contains(site.syscall));
    }
    seen |= fork.contains(site.syscall) && site.verdict == Verdict::kPatch;
    EXPECT_FALSE(site.number == SYS_vfork && site.verdict == Verdict::kPatch);
    EXPECT_FALSE(site.number == SYS_rt_sigreturn && site.verdict == Verdict::kPatch);
  }
  EXPECT_TRUE(seen);
}

TEST_F(ScanTest, TheBodyOfSyscallDispatchesAtRunTime) {
  const TextRange body = libc_.symbol("syscall");
  bool seen = false;
  for (const Site& site : sites_) {
    if (!body.contains(site.syscall)) continue;
    seen = true;
    EXPECT_EQ(site.verdict, Verdict::kPatch);
    EXPECT_EQ(site.number_source, NumberSource::kRunTime);
  }
  EXPECT_TRUE(seen);
}

// Functions of this program, with a site each and something that reaches into it.
asm(R"(
  .text
  .type entered_far, @function
entered_far:
  .cfi_startproc
  mov $202, %eax
.Lfar:
  syscall
  ret
  .cfi_endproc
  .skip 200, 0x90
  .type entering_far, @function
entering_far:
  .cfi_startproc
  .byte 0xe9
  .long .Lfar - . - 4
  .cfi_endproc
  .skip 200, 0x90
  .type entered_near, @function
entered_near:
  .cfi_startproc
  mov $202, %eax
.Lnear:
  syscall
  ret
  .cfi_endproc
  .type entering_near, @function
entering_near:
  .cfi_startproc
  jmp .Lnear
  .cfi_endproc
  .skip 200, 0x90
  .type entered_by_table, @function
entered_by_table:
  .cfi_startproc
  lea .Ltable(%rip), %rdx
  movslq (%rdx, %rdi, 4), %rax
  add %rdx, %rax
  jmp *%rax
.Lcase:
  mov $202, %eax
.Lother_case:
  syscall
  ret
  .cfi_endproc
  .type entered_by_nobody, @function
entered_by_nobody:
  .cfi_startproc
  mov $202, %eax
  syscall
  ret
  .cfi_endproc
  .section .rodata
  .balign 4
.Ltable:
  .long .Lcase - .Ltable, .Lother_case - .Ltable, 0x7fffffff
  .text
)");

extern "C" const std::uint8_t entered_far[], entered_near[], entered_by_table[],
    entered_by_nobody[];

TEST(Scan, AWayInFromAnywhereIsARefusal) {
  ElfObject program;
  ASSERT_TRUE(program.open(""));
  ScratchArray<Site> sites(4096);
  ASSERT_TRUE(scan(program, NumberSet::all(), sites));
  const auto refusal_in = [&](const std::uint8_t* function) {
    for (const Site& site : sites) {
      if (program.function_containing(site.syscall).begin == function) return site.refusal;
    }
    ADD_FAILURE() << "no site found";
    return Refusal::kNoFunction;
  };
  EXPECT_EQ(refusal_in(entered_far), Refusal::kBranchInside);
  EXPECT_EQ(refusal_in(entered_near), Refusal::kBranchInside);
  // The load can't be replaced, and nothing behind the call can be moved.
  EXPECT_NE(refusal_in(entered_by_table), Refusal::kNone);
  EXPECT_EQ(refusal_in(entered_by_nobody), Refusal::kNone);
}

TEST(Scan, ReadsAnObjectWithoutDebugSymbols) {
  if (dlopen("libgomp.so.1", RTLD_NOW) == nullptr) GTEST_SKIP() << "no libgomp on this machine";
  ElfObject gomp;
  ASSERT_TRUE(gomp.open("libgomp.so.1"));
  ScratchArray<Site> sites(4096);
  ASSERT_TRUE(scan(gomp, NumberSet::all(), sites));
  std::size_t futexes = 0;
  for (const Site& site : sites) {
    futexes += site.number == SYS_futex && site.verdict == Verdict::kPatch;
  }
  EXPECT_GT(futexes, 0u);
}

}  // namespace
}  // namespace ramie::patch

// What the kernel keeps across a system call, a patched site keeps: all registers but rax, rcx and
// r11, the flags, the vector state, and the red zone.  Pieces of code as libc has them are run on
// pages of their own, first as they are and then patched.
#include <gtest/gtest.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include <cstring>
#include <memory>
#include <vector>

#include "interpose/patch/entry.h"
#include "interpose/patch/rewrite.h"
#include "interpose/patch/scan.h"
#include "interpose/patch/trampoline.h"

namespace {

struct Frame {
  long rdi, rsi, rdx, r10, r8, r9;
};

struct State {
  std::uint64_t rax, rbx, rcx, rdx, rsi, rdi, rbp, r8, r9, r10, r11, r12, r13, r14, r15;
  std::uint64_t flags;
  std::uint64_t red_zone[16];
  alignas(16) std::uint64_t xmm[16][2];
};

long seen_number;
Frame seen_frame;
std::uint64_t seen_flags;
int calls;

constexpr std::uint64_t kDirectionFlag = 0x400;
constexpr long kAnswer = 0x1122334455667788;

}  // namespace

extern "C" {
// Loads every register from probe_in, calls the code, and stores every register to probe_out.
State probe_in;
State probe_out;
void probe(const void* code);

// Answers, and leaves nothing as it was that a C++ function may change.
[[gnu::visibility("hidden")]] long ramie_syscall(long number, Frame* frame) {
  ++calls;
  seen_number = number;
  seen_frame = *frame;
  seen_flags = __builtin_ia32_readeflags_u64();
  volatile char stack[1024];
  for (volatile char& byte : stack) byte = 0x55;
  asm volatile(
      "pcmpeqd %%xmm0, %%xmm0; movaps %%xmm0, %%xmm1; movaps %%xmm0, %%xmm2; movaps %%xmm0, %%xmm3;"
      "movaps %%xmm0, %%xmm4; movaps %%xmm0, %%xmm5; movaps %%xmm0, %%xmm6; movaps %%xmm0, %%xmm7;"
      "movaps %%xmm0, %%xmm8; movaps %%xmm0, %%xmm9; movaps %%xmm0, %%xmm10;"
      "movaps %%xmm0, %%xmm11; movaps %%xmm0, %%xmm12; movaps %%xmm0, %%xmm13;"
      "movaps %%xmm0, %%xmm14; movaps %%xmm0, %%xmm15; fninit; xor %%eax, %%eax; mov %%eax, %%ecx;"
      "mov %%eax, %%edx; mov %%eax, %%esi; mov %%eax, %%edi; mov %%eax, %%r8d; mov %%eax, %%r9d;"
      "mov %%eax, %%r10d; mov %%eax, %%r11d"
      :
      :
      : "rax", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "memory", "cc", "xmm0", "xmm1",
        "xmm2", "xmm3", "xmm4", "xmm5", "xmm6", "xmm7", "xmm8", "xmm9", "xmm10", "xmm11", "xmm12",
        "xmm13", "xmm14", "xmm15");
  if (__builtin_cpu_supports("avx")) asm volatile("vzeroall" : : : "memory");
  return kAnswer;
}
}

asm(R"(
  .text
  .globl probe
  .type probe, @function
probe:
  push %rbx; push %rbp; push %r12; push %r13; push %r14; push %r15
  push %rdi
  lea probe_in(%rip), %rax
  // The red zone of the code starts below the return address.
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    mov (128 + 8 * \n)(%rax), %rcx
    mov %rcx, (-136 + 8 * \n)(%rsp)
    movaps (256 + 16 * \n)(%rax), %xmm\n
  .endr
  // The flags go in without a push, which would fall into the red zone.
  mov 120(%rax), %rcx
  mov %rcx, -144(%rsp)
  lea -144(%rsp), %rsp
  popfq
  lea 136(%rsp), %rsp
  mov 8(%rax), %rbx;  mov 16(%rax), %rcx; mov 24(%rax), %rdx; mov 32(%rax), %rsi
  mov 40(%rax), %rdi; mov 48(%rax), %rbp; mov 56(%rax), %r8;  mov 64(%rax), %r9
  mov 72(%rax), %r10; mov 80(%rax), %r11; mov 88(%rax), %r12; mov 96(%rax), %r13
  mov 104(%rax), %r14; mov 112(%rax), %r15; mov 0(%rax), %rax
  call *(%rsp)
  mov %rax, probe_out(%rip)
  lea probe_out(%rip), %rax
  mov %rbx, 8(%rax);  mov %rcx, 16(%rax); mov %rdx, 24(%rax); mov %rsi, 32(%rax)
  mov %rdi, 40(%rax); mov %rbp, 48(%rax); mov %r8, 56(%rax);  mov %r9, 64(%rax)
  mov %r10, 72(%rax); mov %r11, 80(%rax); mov %r12, 88(%rax); mov %r13, 96(%rax)
  mov %r14, 104(%rax); mov %r15, 112(%rax)
  .irp n, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15
    mov (-136 + 8 * \n)(%rsp), %rcx
    mov %rcx, (128 + 8 * \n)(%rax)
    movaps %xmm\n, (256 + 16 * \n)(%rax)
  .endr
  pushfq
  pop 120(%rax)
  cld
  pop %rdi
  pop %r15; pop %r14; pop %r13; pop %r12; pop %rbp; pop %rbx
  ret
  .size probe, . - probe
)");

namespace ramie::patch {
namespace {

using Bytes = std::vector<std::uint8_t>;

// Code with one site, on a page of its own.
class Piece {
 public:
  Piece(const Bytes& code, const NumberSet& wanted) {
    page_ = static_cast<std::uint8_t*>(
        mmap(nullptr, kPage, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    // At the very end of the page, where a careless writer would touch the next one.
    code_ = {page_ + kPage - code.size(), page_ + kPage};
    std::memcpy(page_ + kPage - code.size(), code.data(), code.size());
    mprotect(page_, kPage, PROT_READ | PROT_EXEC);
    ControlFlow flow;
    EXPECT_TRUE(flow.read(code_, nullptr));
    for (const std::uint8_t* at = code_.begin; at + 1 < code_.end; ++at) {
      if (at[0] == 0x0f && at[1] == 0x05) site_.syscall = at;
    }
    examine(site_, flow, code_, {}, wanted);
  }

  ~Piece() {
    area_.unmap();
    munmap(page_, kPage);
  }

  void patch() {
    choose_state_mask();
    ASSERT_EQ(site_.verdict, Verdict::kPatch);
    const std::span<Site> sites(&site_, 1);
    ASSERT_EQ(area_.map(code_, sites), 0);
    site_.trampoline = area_.emit(site_);
    ASSERT_EQ(area_.seal(), 0);
    ASSERT_EQ(unlock_text(sites), 0);
    write_jumps(sites);
    ASSERT_EQ(lock_text(sites), 0);
  }

  [[nodiscard]] const std::uint8_t* code() const { return code_.begin; }
  [[nodiscard]] const Site& site() const { return site_; }

 private:
  static constexpr std::size_t kPage = 4096;

  std::uint8_t* page_;
  TextRange code_;
  Site site_;
  TrampolineArea area_;
};

// Each with the number in rax or loaded into it, and flags that nothing behind the call changes.
const Bytes kLoad = {0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc3};              // mov $39,%eax
const Bytes kRunTime = {0x0f, 0x05, 0x49, 0x89, 0xc3, 0xc3};              // mov %rax,%r11
const Bytes kPreceded = {0x8b, 0xc0, 0x8b, 0xff, 0x0f, 0x05, 0xc3};       // mov %eax,%eax
const Bytes kRedZone = {0x48, 0x8b, 0x5c, 0x24, 0xf0, 0x0f, 0x05, 0xc3};  // -16(%rsp),%rbx
const Bytes kSurrounded = {0x8b, 0xc0, 0x0f, 0x05, 0x90, 0xc3};

class Registers : public testing::TestWithParam<Bytes> {
 protected:
  void SetUp() override {
    std::memset(&probe_in, 0, sizeof probe_in);
    auto* words = reinterpret_cast<std::uint64_t*>(&probe_in);
    for (std::size_t i = 0; i < sizeof probe_in / 8; ++i) words[i] = 0x9e3779b97f4a7c15 * (i + 1);
    probe_in.rax = SYS_getpid;
    // All arithmetic flags and the direction flag.
    probe_in.flags = 0xcd7;
    calls = 0;
    ramie_patch_active = 0;
  }

  void TearDown() override { ramie_patch_active = 0; }

  static State run(const Piece& piece) {
    probe(piece.code());
    State result = probe_out;
    // The kernel's to change, and the answer.
    result.rax = result.rcx = result.r11 = 0;
    return result;
  }
};

TEST_P(Registers, AreKeptWhileActive) {
  Piece piece(GetParam(), NumberSet::all());
  const State native = run(piece);
  piece.patch();
  ramie_patch_active = 1;
  const State patched = run(piece);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(probe_out.rax, static_cast<std::uint64_t>(kAnswer));
  EXPECT_EQ(std::memcmp(&native, &patched, sizeof native), 0);
  EXPECT_EQ(patched.flags, native.flags);
  EXPECT_EQ(seen_flags & kDirectionFlag, 0u) << "C++ code expects it to be clear";
}

TEST_P(Registers, EachFlagIsKept) {
  Piece piece(GetParam(), NumberSet::all());
  // Carry, parity, adjust, zero, sign, direction, overflow: each alone, and all but each.
  constexpr std::uint64_t kBits[] = {0x1, 0x4, 0x10, 0x40, 0x80, 0x400, 0x800};
  constexpr std::uint64_t kAllBits = 0xcd5;
  auto check = [&](std::uint64_t flags) {
    probe_in.flags = flags | 0x202;
    ramie_patch_active = 0;
    const State native = run(piece);
    ramie_patch_active = 1;
    const State patched = run(piece);
    EXPECT_EQ(patched.flags, native.flags) << std::hex << flags;
    EXPECT_EQ(seen_flags & kDirectionFlag, 0u);
  };
  piece.patch();
  for (std::uint64_t bit : kBits) {
    check(bit);
    check(kAllBits & ~bit);
  }
}

TEST_P(Registers, AreKeptWhileInactive) {
  Piece piece(GetParam(), NumberSet::all());
  const State native = run(piece);
  const std::uint64_t answer = probe_out.rax;
  piece.patch();
  const State patched = run(piece);
  EXPECT_EQ(calls, 0);
  EXPECT_EQ(probe_out.rax, answer);
  EXPECT_EQ(std::memcmp(&native, &patched, sizeof native), 0);
}

TEST_P(Registers, ArriveAsArguments) {
  Piece piece(GetParam(), NumberSet::all());
  piece.patch();
  ramie_patch_active = 1;
  run(piece);
  EXPECT_EQ(seen_number, SYS_getpid);
  EXPECT_EQ(seen_frame.rsi, static_cast<long>(probe_in.rsi));
  EXPECT_EQ(seen_frame.rdx, static_cast<long>(probe_in.rdx));
  EXPECT_EQ(seen_frame.r10, static_cast<long>(probe_in.r10));
  EXPECT_EQ(seen_frame.r8, static_cast<long>(probe_in.r8));
  EXPECT_EQ(seen_frame.r9, static_cast<long>(probe_in.r9));
}

INSTANTIATE_TEST_SUITE_P(Shapes, Registers,
                         testing::Values(kLoad, kRunTime, kPreceded, kRedZone, kSurrounded));

using WideState = Registers;

TEST_F(WideState, TheX87StackIsKeptWhereAFunctionUsesIt) {
  // fldpi; mov $39,%eax; syscall; fstpl (%rdi); ret
  Piece piece({0xd9, 0xeb, 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xdd, 0x1f, 0xc3}, NumberSet::all());
  EXPECT_TRUE(piece.site().wide_state);
  piece.patch();
  ramie_patch_active = 1;
  double stored = 0;
  probe_in.rdi = reinterpret_cast<std::uint64_t>(&stored);
  const State patched = run(piece);
  EXPECT_EQ(calls, 1);
  EXPECT_NEAR(stored, 3.14159265, 1e-8);
  EXPECT_EQ(std::memcmp(patched.xmm, probe_in.xmm, sizeof patched.xmm), 0);
  EXPECT_EQ(patched.r15, probe_in.r15);
}

TEST_F(WideState, IsKeptWithoutXsave) {
  Piece piece({0xd9, 0xeb, 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xdd, 0x1f, 0xc3}, NumberSet::all());
  piece.patch();
  ramie_patch_active = 1;
  ramie_patch_state_mask = 0;
  double stored = 0;
  probe_in.rdi = reinterpret_cast<std::uint64_t>(&stored);
  const State patched = run(piece);
  EXPECT_NEAR(stored, 3.14159265, 1e-8);
  EXPECT_EQ(std::memcmp(patched.xmm, probe_in.xmm, sizeof patched.xmm), 0);
}

TEST_F(WideState, TheUpperHalvesAreKeptWhereAFunctionUsesThem) {
  if (!__builtin_cpu_supports("avx")) GTEST_SKIP() << "no AVX";
  // vmovups (%rsi),%ymm9; mov $39,%eax; syscall; vmovups %ymm9,(%rdi); ret
  Piece piece({0xc5, 0x7c, 0x10, 0x0e, 0xb8, 0x27, 0, 0, 0, 0x0f, 0x05, 0xc5, 0x7c, 0x11, 0x0f,
               0xc5, 0xf8, 0x77, 0xc3},
              NumberSet::all());
  EXPECT_TRUE(piece.site().wide_state);
  piece.patch();
  ramie_patch_active = 1;
  const std::uint64_t loaded[4] = {1, 2, 3, 4};
  std::uint64_t stored[4] = {};
  probe_in.rsi = reinterpret_cast<std::uint64_t>(loaded);
  probe_in.rdi = reinterpret_cast<std::uint64_t>(stored);
  run(piece);
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(std::memcmp(loaded, stored, sizeof loaded), 0);
}

}  // namespace
}  // namespace ramie::patch

#include "core/fault.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <setjmp.h>
#include <sys/mman.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cstring>

#include "base/sys.h"
#include "core/sanitizer.h"
#include "core/tls.h"

namespace ramie::core {
namespace {

constexpr size_t kPage = 4096;

using Handler = void (*)(int, siginfo_t*, void*);

// What the program's handler saw.
struct Seen {
  int calls = 0;
  uintptr_t address = 0;
  uintptr_t stack = 0;
  uint64_t blocked = 0;
  int errno_value = 0;
};
Seen seen;

uint64_t blocked_now() {
  uint64_t mask = 0;
  sys::call(SYS_rt_sigprocmask, SIG_BLOCK, 0, sys::arg(&mask), sizeof mask);
  return mask;
}

void note(siginfo_t* info) {
  char local;
  ++seen.calls;
  seen.address = reinterpret_cast<uintptr_t>(info->si_addr);
  seen.stack = reinterpret_cast<uintptr_t>(&local);
  seen.blocked = blocked_now();
  seen.errno_value = errno;
}

// Gives the page that faulted access, so that the instruction succeeds when it is run again; and
// spoils the vector registers, which the interrupted code must not see.
void open_page(int, siginfo_t* info, void*) {
  note(info);
  asm volatile("pcmpeqd %%xmm7, %%xmm7" : : : "xmm7");
  auto page = reinterpret_cast<uintptr_t>(info->si_addr) & ~(kPage - 1);
  mprotect(reinterpret_cast<void*>(page), kPage, PROT_READ | PROT_WRITE);
}

sigjmp_buf escape;
void jump_out(int, siginfo_t* info, void*) {
  note(info);
  siglongjmp(escape, 1);
}

void set_action(Handler handler, unsigned long flags, uint64_t mask = 0) {
  SignalAction action;
  action.handler = reinterpret_cast<uintptr_t>(handler);
  action.flags = SA_SIGINFO | flags;
  action.mask = mask;
  fault::set_application_action(SIGSEGV, action);
}

class Fault : public testing::Test {
 protected:
  void SetUp() override {
#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
    GTEST_SKIP() << "the sanitizer handles faults by itself";
#endif
    seen = {};
    ASSERT_EQ(tls::select(base::FsChoice::automatic), nullptr);
    ASSERT_EQ(fault::install(), 0);
    fault::set_application_action(SIGSEGV, {});
    ASSERT_EQ(fault::start_thread(stack_), 0);
    ASSERT_EQ(tls::start_thread(cpu_), 0);
    page_ = static_cast<volatile int*>(
        mmap(nullptr, kPage, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
  }
  void TearDown() override {
    if (page_ == nullptr) {
      return;
    }
    munmap(const_cast<int*>(page_), kPage);
    tls::stop_thread(cpu_);
    fault::stop_thread(stack_);
    fault::set_hooks(nullptr);
    fault::set_application_action(SIGSEGV, {});
    fault::uninstall();
  }

  bool on_carrier_stack(uintptr_t address) const { return address - stack_.stack < (64UL << 10); }

  tls::Cpu cpu_;
  fault::Thread stack_;
  volatile int* page_ = nullptr;
};

using FaultDeathTest = Fault;

TEST_F(Fault, TheProgramsHandlerRunsOnTheFaultingStackAndReturns) {
  set_action(open_page, 0);
  errno = 33;
  *page_ = 5;
  EXPECT_EQ(*page_, 5);
  EXPECT_EQ(seen.calls, 1);
  EXPECT_EQ(seen.address, reinterpret_cast<uintptr_t>(page_));
  EXPECT_EQ(seen.errno_value, 33);
  EXPECT_FALSE(on_carrier_stack(seen.stack));
  char local;
  EXPECT_LT(reinterpret_cast<uintptr_t>(&local) - seen.stack, 64U << 10);
}

TEST_F(Fault, RegistersSurviveTheProgramsHandler) {
  set_action(open_page, 0);
  uint64_t before = 0x0123456789abcdef;
  uint64_t after = 0;
  uint64_t count = 77;
  asm volatile(
      "movq %[before], %%xmm7\n\t"
      "movl $9, (%[page])\n\t"
      "movq %%xmm7, %[after]"
      : [after] "=r"(after), "+c"(count)
      : [before] "r"(before), [page] "r"(page_)
      : "xmm7", "memory");
  EXPECT_EQ(after, before);
  EXPECT_EQ(count, 77U);
  EXPECT_EQ(seen.calls, 1);
}

TEST_F(Fault, TheCarriersAlternateStackStaysItsOwn) {
  set_action(open_page, 0);
  *page_ = 1;
  stack_t now;
  sigaltstack(nullptr, &now);
  EXPECT_EQ(reinterpret_cast<uintptr_t>(now.ss_sp), stack_.stack);
  EXPECT_EQ(now.ss_flags & SS_DISABLE, 0);
}

TEST_F(Fault, TheHandlersMaskHoldsWhileItRunsAndEndsWithIt) {
  uint64_t outside = blocked_now();
  set_action(open_page, 0, signal_bit(SIGUSR1));
  *page_ = 1;
  uint64_t inside = signal_bit(SIGUSR1) | signal_bit(SIGSEGV);
  EXPECT_EQ(seen.blocked, outside | fault::blockable(inside));
  EXPECT_EQ(blocked_now(), outside);
}

TEST_F(Fault, TheProgramsHandlerMayJumpOutAgainAndAgain) {
  set_action(jump_out, 0);
  for (int i = 0; i < 100; ++i) {
    if (sigsetjmp(escape, 1) == 0) {
      *page_ = 1;
    }
  }
  EXPECT_EQ(seen.calls, 100);
}

TEST_F(Fault, AResetHandlerIsCalledOnce) {
  set_action(open_page, SA_RESETHAND);
  *page_ = 1;
  EXPECT_EQ(seen.calls, 1);
  EXPECT_EQ(fault::application_action(SIGSEGV).handler, 0U);
}

alignas(16) char alternate_room[128 << 10];

TEST_F(Fault, AHandlerThatAsksForItRunsOnTheFibersAlternateStack) {
  static constexpr fault::Hooks kHooks{
      .describe_overflow = [](uintptr_t, fault::Overflow&) { return true; },
      .alternate_stack =
          []() {
            return AlternateStack{reinterpret_cast<uintptr_t>(alternate_room),
                                  sizeof alternate_room};
          }};
  fault::set_hooks(&kHooks);
  set_action(open_page, SA_ONSTACK);
  *page_ = 1;  // counts as an overflow here, for which this program is prepared
  EXPECT_EQ(seen.calls, 1);
  EXPECT_LT(seen.stack - reinterpret_cast<uintptr_t>(alternate_room), sizeof alternate_room);
}

TEST_F(Fault, AThreadThatIsNoCarrierKeepsItsOwnStacks) {
  set_action(open_page, 0);
  pthread_t thread;
  tls::make_real(cpu_);  // pthread_create blocks SIGSEGV for a moment, which only the shim prevents
  pthread_create(
      &thread, nullptr,
      [](void* page) -> void* {
        *static_cast<volatile int*>(page) = 8;
        return nullptr;
      },
      const_cast<int*>(page_));
  tls::make_trapped(cpu_);
  pthread_join(thread, nullptr);
  EXPECT_EQ(*page_, 8);
  EXPECT_EQ(seen.calls, 1);
  EXPECT_FALSE(on_carrier_stack(seen.stack));
}

TEST_F(Fault, ASentSignalReachesTheHandlerOnce) {
  set_action([](int, siginfo_t* info, void*) { note(info); }, 0);
  raise(SIGSEGV);
  EXPECT_EQ(seen.calls, 1);
}

TEST_F(Fault, ASentSignalMayBeIgnored) {
  fault::set_application_action(SIGSEGV, {.handler = 1});
  raise(SIGSEGV);
  EXPECT_EQ(fault::application_action(SIGSEGV).handler, 1U);
}

TEST_F(Fault, TheProgramsActionIsBackInTheKernelAfterwards) {
  set_action(open_page, SA_RESTART, signal_bit(SIGUSR2));
  EXPECT_TRUE(fault::owns(SIGSEGV));
  EXPECT_FALSE(fault::owns(SIGBUS));
  fault::uninstall();
  EXPECT_FALSE(fault::owns(SIGSEGV));
  SignalAction action;
  EXPECT_EQ(kernel_sigaction(SIGSEGV, nullptr, &action), 0);
  EXPECT_EQ(action.handler, reinterpret_cast<uintptr_t>(&open_page));
  EXPECT_EQ(action.mask, signal_bit(SIGUSR2));
}

TEST_F(FaultDeathTest, WithoutAHandlerAFaultKills) {
  EXPECT_EXIT(*page_ = 1, testing::KilledBySignal(SIGSEGV), "");
}

TEST_F(FaultDeathTest, AnIgnoredFaultKills) {
  fault::set_application_action(SIGSEGV, {.handler = 1});
  EXPECT_EXIT(*page_ = 1, testing::KilledBySignal(SIGSEGV), "");
}

TEST_F(FaultDeathTest, ASentSignalKillsByDefault) {
  EXPECT_EXIT(raise(SIGSEGV), testing::KilledBySignal(SIGSEGV), "");
}

TEST_F(FaultDeathTest, AnOverflowNamesItsFiber) {
  static constexpr fault::Hooks kHooks{
      .describe_overflow =
          [](uintptr_t, fault::Overflow& out) {
            out = {.fiber = 12, .name = "worker", .stack_size = 65536};
            return true;
          },
      .alternate_stack = nullptr};
  fault::set_hooks(&kHooks);
  set_action(open_page, 0);
  EXPECT_EXIT(*page_ = 1, testing::KilledBySignal(SIGSEGV),
              "ramie: fiber 12 \"worker\": stack overflow at 0x[0-9a-f]+, stack of 65536 bytes; "
              "set "
              "RAMIE_STACK_SIZE");
}

TEST_F(FaultDeathTest, AStackPointerThatLeadsNowhereKillsAsNatively) {
  set_action(open_page, 0);
  EXPECT_EXIT(asm volatile("mov $16384, %%rsp; push %%rax"
                           :
                           :
                           : "memory"),
              testing::KilledBySignal(SIGSEGV), "");
}

}  // namespace
}  // namespace ramie::core

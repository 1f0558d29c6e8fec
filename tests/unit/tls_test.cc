#include "core/tls.h"

#include <gtest/gtest.h>
#include <pthread.h>
#include <sched.h>
#include <sys/wait.h>
#include <ucontext.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <cstdio>
#include <cstring>

#include "base/sys.h"
#include "core/cpu_clock.h"
#include "core/fault.h"
#include "tests/unit/tls_fixture.h"

namespace ramie::core {
namespace {

using base::FsChoice;

class TlsMode : public TlsFixture, public testing::WithParamInterface<FsChoice> {
 protected:
  void SetUp() override { start(GetParam()); }
};

INSTANTIATE_TEST_SUITE_P(Modes, TlsMode,
                         testing::Values(FsChoice::fsgsbase, FsChoice::trap, FsChoice::prctl),
                         [](const auto& test) {
                           return test.param == FsChoice::fsgsbase ? "Fsgsbase"
                                  : test.param == FsChoice::trap   ? "Trap"
                                                                   : "Prctl";
                         });

TEST_P(TlsMode, EachSwitchShowsItsOwnThreadLocals) {
  Block a{.value = 0x1111, .room = {}};
  Block b{.value = 0x2222, .room = {}};
  bool slow = GetParam() == FsChoice::prctl;
  EXPECT_EQ(count_wrong(cpu_, a, b, slow ? 100'000 : 1'000'000, 1000), 0U);
  if (GetParam() == FsChoice::trap) {
    // A kernel that keeps what wrfsbase wrote never lets the trap come.
    if (tls::probe() == tls::Mode::trap) {
      EXPECT_GT(cpu_.traps.load(), 0U) << "was never preempted: the test has shown nothing";
    }
    EXPECT_EQ(tls::mode(), tls::Mode::trap);
  }
}

TEST_P(TlsMode, LeavesTheThreadItsOwnThreadLocals) {
  thread_local int mine = 7;
  for (int i = 0; i < 1000; ++i) {
    sched_yield();
    ASSERT_EQ(mine, 7);
  }
  errno = 0;
  EXPECT_EQ(close(-1), -1);
  EXPECT_EQ(errno, EBADF);
}

TEST_P(TlsMode, AForkedChildStartsWithTheRightBase) {
  thread_local int mine = 11;
  tls::make_real(cpu_);
  pid_t child = fork();
  if (child == 0) {
    tls::after_fork(cpu_);
    fault::uninstall();
    errno = 0;
    for (int i = 0; i < 100; ++i) {
      sched_yield();
      mine += errno;
    }
    char text[32];
    snprintf(text, sizeof text, "%d", mine);
    _exit(strcmp(text, "11") == 0 && cpu_.mode == tls::Mode::none ? 0 : 1);
  }
  tls::make_trapped(cpu_);
  int status = -1;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  EXPECT_EQ(mine, 11);
}

TEST_P(TlsMode, MayBeLeftAndEnteredAgain) {
  tls::stop_thread(cpu_);
  EXPECT_EQ(cpu_.mode, tls::Mode::none);
  EXPECT_EQ(tls::start_thread(cpu_), 0);
  EXPECT_EQ(cpu_.mode, tls::mode());
  EXPECT_EQ(cpu_.own_fs, reinterpret_cast<uintptr_t>(pthread_self()));
}

TEST(Tls, RefusesAModeThatTheHostLacks) {
  tls::Mode best = tls::probe();
  EXPECT_NE(best, tls::Mode::none);
  EXPECT_EQ(tls::select(FsChoice::fsgsbase) == nullptr, best == tls::Mode::fsgsbase);
  EXPECT_EQ(tls::select(FsChoice::trap) == nullptr, best != tls::Mode::prctl);
  EXPECT_EQ(tls::select(FsChoice::prctl), nullptr);
  EXPECT_EQ(tls::mode(), tls::Mode::prctl);
  EXPECT_EQ(tls::select(FsChoice::automatic), nullptr);
  EXPECT_EQ(tls::mode(), best);
}

TEST(Tls, ProbingLeavesNoChildAndNoHandlerBehind) {
  struct sigaction before;
  struct sigaction after;
  sigaction(SIGILL, nullptr, &before);
  (void)tls::probe();
  sigaction(SIGILL, nullptr, &after);
  EXPECT_EQ(before.sa_handler, after.sa_handler);
  EXPECT_EQ(waitpid(-1, nullptr, WNOHANG | __WALL), -1);
  EXPECT_EQ(errno, ECHILD);
}

TEST(Tls, ASegvMayBeBlockedInTheKernelExceptInTrapMode) {
  uint64_t all = ~0UL;
  EXPECT_EQ(tls::select(FsChoice::prctl), nullptr);
  EXPECT_EQ(fault::blockable(all), all);
  if (const char* refusal = tls::select(FsChoice::trap)) {
    GTEST_SKIP() << refusal;
  }
  EXPECT_EQ(fault::blockable(all), all & ~signal_bit(SIGSEGV));
}

bool trapped_times(tls::Livelock& livelock, unsigned times, greg_t counter = 0) {
  gregset_t registers{};
  registers[REG_RCX] = counter;
  bool result = false;
  for (unsigned i = 0; i < times; ++i) {
    result = livelock.trapped(registers) || result;
  }
  return result;
}

TEST(Livelock, IsMadeOfTrapsInARowWithEqualRegisters) {
  tls::Livelock livelock;
  EXPECT_FALSE(trapped_times(livelock, tls::Livelock::kLimit - 1));
  EXPECT_TRUE(trapped_times(livelock, 1));
}

TEST(Livelock, EndsWithASwitch) {
  tls::Livelock livelock;
  for (int i = 0; i < 10; ++i) {
    EXPECT_FALSE(trapped_times(livelock, tls::Livelock::kLimit - 1));
    livelock.switched();
  }
}

TEST(Livelock, IsNotALoopThatIsPreemptedAtOneInstruction) {
  tls::Livelock livelock;
  for (int i = 1; i < 100; ++i) {
    EXPECT_FALSE(trapped_times(livelock, 2, i));
  }
}

// As one that tries a lock which another thread has.
TEST(Livelock, IsNotALoopWithEqualRegistersThatComputes) {
  tls::Livelock livelock;
  for (unsigned i = 0; i < 4 * tls::Livelock::kLimit; ++i) {
    EXPECT_FALSE(trapped_times(livelock, 1)) << i;
    const int64_t begin = own_cpu_time();
    while (own_cpu_time() - begin < 300'000) {
    }
  }
}

TEST(Tls, ATrapWithoutProgressEndsInPrctlForGood) {
#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
  GTEST_SKIP() << "the sanitizer needs its own thread-locals all the time";
#endif
  if (const char* refusal = tls::select(FsChoice::trap)) {
    GTEST_SKIP() << refusal;
  }
  ASSERT_EQ(fault::install(), 0);
  tls::Cpu cpu;
  ASSERT_EQ(tls::start_thread(cpu), 0);
  EXPECT_TRUE(trap_without_progress(cpu));
  EXPECT_EQ(cpu.mode, tls::Mode::prctl);
  EXPECT_EQ(tls::mode(), tls::Mode::prctl);
  EXPECT_EQ(fault::blockable(uint64_t{1} << (SIGSEGV - 1)), 0U)
      << "others may still be in trap mode";
  Rival rival;
  Block a{.value = 1, .room = {}};
  Block b{.value = 2, .room = {}};
  EXPECT_EQ(count_wrong(cpu, a, b, 10'000, 100), 0U);
  EXPECT_EQ(cpu.traps.load(), tls::Livelock::kLimit);
  EXPECT_TRUE(trap_without_progress(cpu)) << "one that comes late is repaired";
  tls::stop_thread(cpu);
  fault::uninstall();
}

}  // namespace
}  // namespace ramie::core

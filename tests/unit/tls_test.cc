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
#include "core/sanitizer.h"
#include "core/tls_choice.h"

namespace ramie::core {
namespace {

using base::FsChoice;

// Competes for the CPU on which the calling thread is, until it goes out of scope.  To be made
// before trap mode is entered: pthread_create blocks SIGSEGV for a moment, which only the shim
// prevents.
class Rival {
 public:
  Rival() {
    sched_getaffinity(0, sizeof before_, &before_);
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    sched_setaffinity(0, sizeof one, &one);
    pthread_create(&thread_, nullptr, &spin, this);
    while (!runs_.load()) {
      sched_yield();
    }
  }
  ~Rival() {
    stop_.store(true);
    pthread_join(thread_, nullptr);
    sched_setaffinity(0, sizeof before_, &before_);
  }

 private:
  static void* spin(void* self) {
    static_cast<Rival*>(self)->runs_.store(true);
    while (!static_cast<Rival*>(self)->stop_.load()) {
      sched_yield();
    }
    return nullptr;
  }

  cpu_set_t before_;
  std::atomic<bool> runs_ = false;
  std::atomic<bool> stop_ = false;
  pthread_t thread_;
};

// What a thread control block is to us: its own address, then anything.
struct Block {
  Block* self = this;
  uint64_t value;
  char room[240];
};

uint64_t read_value() {
  uint64_t value;
  asm volatile("mov %%fs:8, %0" : "=r"(value));
  return value;
}

// Switches between the two and counts wrong values.  No libc in here: it has no thread control
// block.
__attribute__((noinline, no_stack_protector)) uint64_t count_wrong(tls::Cpu& cpu, Block& a,
                                                                   Block& b, int rounds,
                                                                   int yield_each) {
  uint64_t wrong = 0;
  uintptr_t real = cpu.current_fs;
  for (int i = 0; i < rounds; ++i) {
    Block& block = i % 2 == 0 ? a : b;
    tls::set(cpu, reinterpret_cast<uintptr_t>(&block));
    if (i % yield_each == 0) {
      sys::call(SYS_sched_yield);
      if (i % (2 * yield_each) == 0) {
        tls::refresh(cpu);
      }
    }
    wrong += read_value() != block.value;
  }
  tls::set(cpu, real);
  return wrong;
}

class TlsMode : public testing::TestWithParam<FsChoice> {
 protected:
  void SetUp() override {
#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
    GTEST_SKIP() << "the sanitizer needs its own thread-locals all the time";
#endif
    if (const char* refusal = tls::select(GetParam())) {
      GTEST_SKIP() << refusal;
    }
    ASSERT_EQ(fault::install(), 0);
    ASSERT_EQ(fault::start_thread(stack_), 0);
    ASSERT_EQ(tls::start_thread(cpu_), 0);
    started_ = true;
  }
  void TearDown() override {
    if (started_) {
      tls::stop_thread(cpu_);
      fault::stop_thread(stack_);
      fault::uninstall();
    }
  }

  Rival rival_;
  tls::Cpu cpu_;
  fault::Thread stack_;
  bool started_ = false;
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

TEST_P(TlsMode, MayChangeBetweenTrapsAndCalls) {
  if (GetParam() != FsChoice::trap) {
    GTEST_SKIP() << "no other mode is left";
  }
  Block a{.value = 0x1111, .room = {}};
  Block b{.value = 0x2222, .room = {}};
  for (int i = 0; i < 20; ++i) {
    tls::change_to(cpu_, tls::Mode::prctl);
    uint64_t before = cpu_.traps.load();
    EXPECT_EQ(count_wrong(cpu_, a, b, 1000, 10), 0U);
    EXPECT_EQ(cpu_.traps.load(), before);
    tls::change_to(cpu_, tls::Mode::trap);
    EXPECT_EQ(count_wrong(cpu_, a, b, 1000, 10), 0U);
  }
  if (tls::probe() == tls::Mode::trap) {
    EXPECT_GT(cpu_.traps.load(), 20U);
  }
}

TEST_P(TlsMode, IsTheCheaperOne) {
  ASSERT_EQ(tls::select(FsChoice::automatic), nullptr);
  if (GetParam() != FsChoice::trap || tls::mode() != tls::Mode::trap) {
    GTEST_SKIP() << "this host has only one";
  }
  constexpr int64_t kLongAfter = 1'000'000'000;
  Block a{.value = 0x1111, .room = {}};
  Block b{.value = 0x2222, .room = {}};
  int64_t now = 1;
  uint64_t switches = 0;
  auto look_after = [&](uint64_t counted, int rounds, int yield_each) {
    EXPECT_EQ(count_wrong(cpu_, a, b, rounds, yield_each), 0U);
    tls::reconsider_now_and_then(cpu_, now += kLongAfter, switches += counted);
  };
  look_after(0, 100, 100);
  for (int i = 0; i < 3; ++i) {
    look_after(100, 1000, 1);
    EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
    look_after(100, 1000, 1);
    EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
    look_after(1'000'000, 1000, 1);
    EXPECT_EQ(cpu_.mode, tls::Mode::trap);
    look_after(1'000'000, 1000, 1);
    EXPECT_EQ(cpu_.mode, tls::Mode::trap);
  }
  uint64_t before = switches;
  tls::reconsider_now_and_then(cpu_, now + 1, switches += 1);  // not due
  EXPECT_EQ(cpu_.choice.switches, before);
  EXPECT_EQ(tls::mode(), tls::Mode::trap);  // of carriers that start
}

TEST_P(TlsMode, IsLeftAloneWhereItWasAskedFor) {
  tls::reconsider_now_and_then(cpu_, 1, 0);
  tls::reconsider_now_and_then(cpu_, 1'000'000'000, 0);
  EXPECT_EQ(cpu_.mode, tls::mode());
  EXPECT_EQ(cpu_.choice.next_look, INT64_MAX);
}

TEST(Tls, TheOtherModeIsTakenWhenItCostsLessThanHalf) {
  using tls::Mode;
  EXPECT_EQ(tls::cheaper(Mode::trap, 0, 0), Mode::trap);
  EXPECT_EQ(tls::cheaper(Mode::trap, 200, 100), Mode::trap);
  EXPECT_EQ(tls::cheaper(Mode::trap, 201, 100), Mode::prctl);
  EXPECT_EQ(tls::cheaper(Mode::prctl, 0, 0), Mode::prctl);
  EXPECT_EQ(tls::cheaper(Mode::prctl, 50, 100), Mode::prctl);
  EXPECT_EQ(tls::cheaper(Mode::prctl, 49, 100), Mode::trap);
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

// Hands the handler equal faults, with the FS base that the kernel leaves after a preemption.
__attribute__((noinline, no_stack_protector)) bool trap_without_progress(tls::Cpu& cpu) {
  siginfo_t info;
  __builtin_memset(&info, 0, sizeof info);
  info.si_code = SEGV_ACCERR;
  ucontext_t context;
  __builtin_memset(&context, 0, sizeof context);
  bool all = true;
  for (unsigned i = 0; i < tls::Livelock::kLimit; ++i) {
    tls::write_fs_base(cpu.trap_fs);
    all = tls::handle_fault(&info, &context) && all;
  }
  return all;
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
  tls::stop_thread(cpu);
  fault::uninstall();
}

}  // namespace
}  // namespace ramie::core

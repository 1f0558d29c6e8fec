#include "core/tls_choice.h"

#include "tests/unit/tls_fixture.h"

namespace ramie::core {
namespace {

using base::FsChoice;

class TrapMode : public TlsFixture {
 protected:
  void SetUp() override { start(FsChoice::trap); }
};

class ChosenMode : public TlsFixture {
 protected:
  void SetUp() override { start(FsChoice::automatic); }
};

TEST_F(TrapMode, MayChangeToCallsAndBack) {
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

// Gives the processor away after one write of the FS base.
__attribute__((noinline, no_stack_protector)) uint64_t count_wrong_in_one_turn(tls::Cpu& cpu,
                                                                               Block& block,
                                                                               int yields) {
  uint64_t wrong = 0;
  uintptr_t real = cpu.current_fs;
  tls::set(cpu, reinterpret_cast<uintptr_t>(&block));
  for (int i = 0; i < yields; ++i) {
    sys::call(SYS_sched_yield);
    uint64_t value;  // with the counter in a register: traps without progress are equal in all
    asm volatile("mov %%fs:8, %0" : "=&r"(value) : "r"(i));
    wrong += value != block.value;
  }
  tls::set(cpu, real);
  return wrong;
}

TEST_F(ChosenMode, IsTheCheaperOne) {
  if (tls::mode() != tls::Mode::trap) {
    GTEST_SKIP() << "this host needs no trap";
  }
  constexpr int64_t kLongAfter = 1'000'000'000;
  constexpr int kMostLooks = 100;
  Block a{.value = 0x1111, .room = {}};
  Block b{.value = 0x2222, .room = {}};
  int64_t now = 1;
  auto look_after_turn = [&] {
    EXPECT_EQ(count_wrong_in_one_turn(cpu_, a, 100), 0U);
    tls::reconsider_now_and_then(cpu_, now += kLongAfter);
  };
  auto look_after_switches = [&] {
    EXPECT_EQ(count_wrong(cpu_, a, b, 1000, 1000), 0U);
    tls::reconsider_now_and_then(cpu_, now += kLongAfter);
  };
  look_after_turn();
  EXPECT_EQ(cpu_.mode, tls::Mode::trap) << "has nothing before it";
  look_after_turn();  // measures, or decides
  look_after_turn();
  EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
  for (int i = 0; i < 3; ++i) {
    look_after_turn();
    EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
    int looks = 0;
    while (cpu_.mode == tls::Mode::prctl && ++looks < kMostLooks) {
      look_after_switches();
    }
    EXPECT_EQ(looks, (2 << i) - 1) << "waits twice as long each time that this was too soon";
    EXPECT_EQ(cpu_.mode, tls::Mode::trap);
    look_after_turn();
    EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
  }
  uint64_t before = cpu_.choice.writes;
  tls::set(cpu_, reinterpret_cast<uintptr_t>(&a));
  tls::set(cpu_, cpu_.own_fs);
  tls::reconsider_now_and_then(cpu_, now + 1);  // not due
  EXPECT_EQ(cpu_.choice.writes, before);
  EXPECT_EQ(tls::mode(), tls::Mode::trap);  // of carriers that start

  tls::hold_choice();
  tls::reconsider_now_and_then(cpu_, now + 1);
  EXPECT_EQ(cpu_.mode, tls::Mode::trap) << "is called back at once";
  look_after_turn();
  look_after_turn();
  EXPECT_EQ(cpu_.mode, tls::Mode::trap);
  tls::release_choice();
  look_after_turn();
  look_after_turn();
  look_after_turn();
  EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
}

TEST_F(ChosenMode, IsNotLeftWhereAFilterMayComeButForALivelockWithoutHope) {
  if (tls::mode() != tls::Mode::trap) {
    GTEST_SKIP() << "this host needs no trap";
  }
  tls::change_to(cpu_, tls::Mode::prctl);
  EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
  tls::stay_with_traps(cpu_);
  EXPECT_EQ(cpu_.mode, tls::Mode::trap);
  tls::change_to(cpu_, tls::Mode::prctl);
  EXPECT_EQ(cpu_.mode, tls::Mode::trap);
  constexpr int kMostRows = 200;
  int rows = 0;
  while (cpu_.mode == tls::Mode::trap && ++rows < kMostRows) {
    EXPECT_TRUE(trap_without_progress(cpu_));
  }
  EXPECT_GT(rows, 10);
  EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
  tls::reconsider_now_and_then(cpu_, 1);
  EXPECT_EQ(cpu_.mode, tls::Mode::trap);
  tls::choose_again(cpu_);
  tls::change_to(cpu_, tls::Mode::prctl);
  EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
}

TEST_F(ChosenMode, ALivelockIsLeftForSomeTime) {
  if (tls::mode() != tls::Mode::trap) {
    GTEST_SKIP() << "this host needs no trap";
  }
  Block a{.value = 0x1111, .room = {}};
  Block b{.value = 0x2222, .room = {}};
  EXPECT_TRUE(trap_without_progress(cpu_));
  EXPECT_EQ(cpu_.mode, tls::Mode::prctl);
  EXPECT_EQ(tls::mode(), tls::Mode::trap) << "of carriers that start";
  EXPECT_TRUE(trap_without_progress(cpu_)) << "one that comes late is repaired";
  int looks = 0;
  while (cpu_.mode == tls::Mode::prctl && looks < 2000) {
    EXPECT_EQ(count_wrong(cpu_, a, b, 100, 100), 0U);
    tls::reconsider_now_and_then(cpu_, ++looks * 1'000'000'000LL);
  }
  EXPECT_GT(looks, 100);
  EXPECT_EQ(cpu_.mode, tls::Mode::trap);
  EXPECT_EQ(count_wrong(cpu_, a, b, 1000, 10), 0U);
}

TEST_F(TrapMode, IsLeftAloneWhereItWasAskedFor) {
  Block block{.value = 0x1111, .room = {}};
  for (int64_t i = 1; i < 4; ++i) {
    EXPECT_EQ(count_wrong_in_one_turn(cpu_, block, 100), 0U);
    tls::reconsider_now_and_then(cpu_, i * 1'000'000'000);
  }
  EXPECT_EQ(cpu_.mode, tls::Mode::trap);
}

TEST(TlsChoice, TheOtherModeIsTakenWhenItCostsLessThanHalf) {
  using tls::Mode;
  EXPECT_EQ(tls::cheaper(Mode::trap, 0, 0), Mode::trap);
  EXPECT_EQ(tls::cheaper(Mode::trap, 200, 100), Mode::trap);
  EXPECT_EQ(tls::cheaper(Mode::trap, 201, 100), Mode::prctl);
  EXPECT_EQ(tls::cheaper(Mode::prctl, 0, 0), Mode::prctl);
  EXPECT_EQ(tls::cheaper(Mode::prctl, 50, 100), Mode::prctl);
  EXPECT_EQ(tls::cheaper(Mode::prctl, 49, 100), Mode::trap);
}

}  // namespace
}  // namespace ramie::core

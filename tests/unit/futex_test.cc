// Each test runs natively first, where the kernel is the oracle, and then against Ramie's futex(2)
// on kernel threads and on fibers.
#include "interpose/host/futex.h"

#include <linux/futex.h>
#include <signal.h>

#include <array>
#include <atomic>
#include <cerrno>
#include <climits>

#include "base/deadline.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/park.h"
#include "crew.h"

namespace ramie::test {
namespace {

struct Kernel {
  using Crew = Threads;
  static long call(const long* a) {
    return sys::call(SYS_futex, a[0], a[1], a[2], a[3], a[4], a[5]);
  }
};
struct RamieOnThreads {
  using Crew = Threads;
  static long call(const long* a) { return host::futex(a); }
};
struct RamieOnFibers {
  using Crew = Fibers;
  static long call(const long* a) { return host::futex(a); }
};

template <class Implementation>
class Futex : public ::testing::Test {
 protected:
  using Word = std::atomic<uint32_t>;
  static constexpr long kWaits = 1;

  static long raw(const void* word, int operation, long value, long timeout_or_value2 = 0,
                  const void* word2 = nullptr, long value3 = 0) {
    const long a[6] = {sys::arg(word),    operation,       value,
                       timeout_or_value2, sys::arg(word2), value3};
    return Implementation::call(a);
  }
  static long call(const void* word, int operation, long value, long timeout_or_value2 = 0,
                   const void* word2 = nullptr, long value3 = 0) {
    return raw(word, operation | FUTEX_PRIVATE_FLAG, value, timeout_or_value2, word2, value3);
  }
  static long wait(Word& word, uint32_t expected, const timespec* timeout = nullptr) {
    return call(&word, FUTEX_WAIT, expected, sys::arg(timeout));
  }
  static long wake(Word& word, long count = 1) { return call(&word, FUTEX_WAKE, count); }

  // How many wait on a word, told by a requeue onto itself.
  static long waiting(Word& word) { return call(&word, FUTEX_REQUEUE, 0, INT_MAX, &word); }

  // Runs `work` on a worker, to its end.
  template <class F>
  void run(F work) {
    crew.start(std::move(work));
    crew.join();
  }
  // Starts a worker that waits, and returns once it does.  Its result lands in `results`.
  void start_waiter(Word& on, uint32_t bits = FUTEX_BITSET_MATCH_ANY) {
    long before = waiting(on);
    std::atomic<long>& result = results.at(started++);
    result = kWaits;
    crew.start([this, &on, &result, bits] {
      result = call(&on, FUTEX_WAIT_BITSET, on.load(), 0, nullptr, bits);
      ++returned;
    });
    ASSERT_TRUE(eventually([&] { return waiting(on) == before + 1; }));
  }
  [[nodiscard]] bool eventually_returned(unsigned count) {
    return eventually([&] { return returned == count; });
  }
  // No test leaves its workers behind, whatever failed.
  void TearDown() override {
    (void)wake(word, INT_MAX);
    (void)wake(word2, INT_MAX);
  }
  Word word = 5;
  Word word2 = 9;
  std::array<std::atomic<long>, 16> results{};
  size_t started = 0;
  std::atomic<unsigned> returned = 0;
  typename Implementation::Crew crew;
};
using Implementations = ::testing::Types<Kernel, RamieOnThreads, RamieOnFibers>;
TYPED_TEST_SUITE(Futex, Implementations);

TYPED_TEST(Futex, AnotherValueIsEagain) {
  this->run([this] {
    EXPECT_EQ(this->wait(this->word, 4), -EAGAIN);
    timespec past{0, 0};
    EXPECT_EQ(this->wait(this->word, 4, &past), -EAGAIN);
  });
}

TYPED_TEST(Futex, WakeCountsWhomItWoke) {
  EXPECT_EQ(this->wake(this->word), 0);
  for (int i = 0; i < 3; ++i) {
    this->start_waiter(this->word);
  }
  EXPECT_EQ(this->wake(this->word, 2), 2);
  ASSERT_TRUE(this->eventually_returned(2));
  EXPECT_EQ(this->wake(this->word, INT_MAX), 1);
  ASSERT_TRUE(this->eventually_returned(3));
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(this->results.at(i), 0);
  }
}

TYPED_TEST(Futex, AWakeOfNobodyWakesOne) {
  this->start_waiter(this->word);
  EXPECT_EQ(this->wake(this->word, 0), 1);
  this->start_waiter(this->word);
  EXPECT_EQ(this->wake(this->word, -1), 1);
}

TYPED_TEST(Futex, ARelativeTimeOutPasses) {
  this->run([this] {
    int64_t before = base::now();
    timespec time{0, 20'000'000};
    EXPECT_EQ(this->wait(this->word, 5, &time), -ETIMEDOUT);
    EXPECT_GE(base::now() - before, 20'000'000);
    EXPECT_EQ(this->waiting(this->word), 0);
  });
}

TYPED_TEST(Futex, AnAbsoluteTimeOutPassesOnEitherClock) {
  this->run([this] {
    for (clockid_t clock : {CLOCK_MONOTONIC, CLOCK_REALTIME}) {
      timespec until;
      clock_gettime(clock, &until);
      until = base::to_timespec(base::to_nanos(until) + 20'000'000);
      int flag = clock == CLOCK_REALTIME ? FUTEX_CLOCK_REALTIME : 0;
      int64_t before = base::now();
      EXPECT_EQ(this->call(&this->word, FUTEX_WAIT_BITSET | flag, 5, sys::arg(&until), nullptr,
                           FUTEX_BITSET_MATCH_ANY),
                -ETIMEDOUT);
      EXPECT_GE(base::now() - before, 19'000'000);
      timespec past{1, 0};
      EXPECT_EQ(this->call(&this->word, FUTEX_WAIT_BITSET | flag, 5, sys::arg(&past), nullptr, 1),
                -ETIMEDOUT);
    }
  });
}

TYPED_TEST(Futex, ATimedWaitCanBeWoken) {
  for (timespec time : {timespec{1000, 0}, timespec{LONG_MAX, 0}}) {
    std::atomic<bool> woken = false;
    this->crew.start([&] {
      EXPECT_EQ(this->wait(this->word, 5, &time), 0);
      woken = true;
    });
    ASSERT_TRUE(eventually([&] { return this->wake(this->word) == 1; }));
    ASSERT_TRUE(eventually([&] { return woken.load(); }));
  }
}

TYPED_TEST(Futex, BitsMustMeet) {
  this->start_waiter(this->word, 0b01);
  this->start_waiter(this->word, 0b10);
  auto wake_bits = [&](long bits) {
    return this->call(&this->word, FUTEX_WAKE_BITSET, INT_MAX, 0, nullptr, bits);
  };
  EXPECT_EQ(wake_bits(0b100), 0);
  EXPECT_EQ(wake_bits(0b10), 1);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(this->results[0], TestFixture::kWaits);
  EXPECT_EQ(this->results[1], 0);
  EXPECT_EQ(this->wake(this->word), 1);
}

TYPED_TEST(Futex, RequeueMovesTheRest) {
  for (int i = 0; i < 4; ++i) {
    this->start_waiter(this->word);
  }
  EXPECT_EQ(this->call(&this->word, FUTEX_REQUEUE, 1, 2, &this->word2), 3);
  ASSERT_TRUE(this->eventually_returned(1));
  EXPECT_EQ(this->wake(this->word2, INT_MAX), 2);
  EXPECT_EQ(this->wake(this->word, INT_MAX), 1);
}

TYPED_TEST(Futex, CmpRequeueLooksAtTheValueFirst) {
  this->start_waiter(this->word);
  EXPECT_EQ(this->call(&this->word, FUTEX_CMP_REQUEUE, 1, 1, &this->word2, 4), -EAGAIN);
  EXPECT_EQ(this->call(&this->word, FUTEX_CMP_REQUEUE, 0, 1, &this->word2, 5), 1);
  EXPECT_EQ(this->wake(this->word), 0);
  EXPECT_EQ(this->wake(this->word2), 1);
  EXPECT_EQ(this->call(&this->word, FUTEX_CMP_REQUEUE, -1, 1, &this->word2, 5), -EINVAL);
  EXPECT_EQ(this->call(&this->word, FUTEX_CMP_REQUEUE, 1, -1, &this->word2, 5), -EINVAL);
}

TYPED_TEST(Futex, WakeOpWakesTheSecondIfTheOldValueMatches) {
  this->start_waiter(this->word);
  this->start_waiter(this->word2);
  long no = FUTEX_OP(FUTEX_OP_SET, 3, FUTEX_OP_CMP_EQ, 8);
  EXPECT_EQ(this->call(&this->word, FUTEX_WAKE_OP, 1, 1, &this->word2, no), 1);
  EXPECT_EQ(this->word2, 3U);
  long yes = FUTEX_OP(FUTEX_OP_ADD, 4, FUTEX_OP_CMP_GE, 3);
  EXPECT_EQ(this->call(&this->word, FUTEX_WAKE_OP, 1, 1, &this->word2, yes), 1);
  EXPECT_EQ(this->word2, 7U);
  ASSERT_TRUE(this->eventually_returned(2));
}

TYPED_TEST(Futex, WakeOpKnowsAllOperationsAndComparisons) {
  struct Case {
    int operation, argument, comparison, compared;
    uint32_t before, after;
    bool wakes;
  };
  const Case cases[] = {
      {FUTEX_OP_SET, -1, FUTEX_OP_CMP_EQ, -2, 0xfffffffe, 0xffffffff, true},
      {FUTEX_OP_ADD, -3, FUTEX_OP_CMP_NE, 5, 5, 2, false},
      {FUTEX_OP_OR, 0x70, FUTEX_OP_CMP_LT, 0, 0x80000001, 0x80000071, true},
      {FUTEX_OP_ANDN, 0x0f, FUTEX_OP_CMP_LE, 0x1f, 0x1f, 0x10, true},
      {FUTEX_OP_XOR, 0x3, FUTEX_OP_CMP_GT, 1, 1, 2, false},
      {FUTEX_OP_ADD | FUTEX_OP_OPARG_SHIFT, 31, FUTEX_OP_CMP_GE, -1, 0, 0x80000000, true},
  };
  for (const Case& c : cases) {
    this->word2 = c.before;
    this->start_waiter(this->word2);
    // The macro's own shift of a signed 1 into the sign bit is undefined, so this is spelt out.
    auto encoded = static_cast<uint32_t>(c.operation) << 28 |
                   static_cast<uint32_t>(c.comparison) << 24 |
                   (static_cast<uint32_t>(c.argument) & 0xfff) << 12 |
                   (static_cast<uint32_t>(c.compared) & 0xfff);
    EXPECT_EQ(
        this->call(&this->word, FUTEX_WAKE_OP, 1, 1, &this->word2, static_cast<int32_t>(encoded)),
        c.wakes ? 1 : 0)
        << "operation " << c.operation << ", comparison " << c.comparison;
    EXPECT_EQ(this->word2, c.after) << "operation " << c.operation;
    (void)this->wake(this->word2);
  }
}

TYPED_TEST(Futex, BadArgumentsGetTheKernelsErrors) {
  this->run([this] {
    timespec bad{0, 1'000'000'000};
    EXPECT_EQ(this->wait(this->word, 4, &bad), -EINVAL);
    bad = {-1, 0};
    EXPECT_EQ(this->wait(this->word, 5, &bad), -EINVAL);
    EXPECT_EQ(this->call(&this->word, FUTEX_WAIT_BITSET, 4, 0, nullptr, 0), -EINVAL);
    EXPECT_EQ(this->call(&this->word, FUTEX_WAKE_BITSET, 1, 0, nullptr, 0), -EINVAL);
    const char* odd = reinterpret_cast<const char*>(&this->word) + 1;
    EXPECT_EQ(this->call(odd, FUTEX_WAIT, 0), -EINVAL);
    EXPECT_EQ(this->call(odd, FUTEX_WAKE, 1), -EINVAL);
    EXPECT_EQ(this->call(nullptr, FUTEX_WAIT, 0), -EFAULT);
    EXPECT_EQ(this->call(&this->word, FUTEX_WAIT | FUTEX_CLOCK_REALTIME, 5), -ENOSYS);
    EXPECT_EQ(this->call(&this->word, FUTEX_WAKE | FUTEX_CLOCK_REALTIME, 5), -ENOSYS);
    EXPECT_EQ(this->call(&this->word, FUTEX_FD, 1), -ENOSYS);
    EXPECT_EQ(this->call(&this->word, 99, 1), -ENOSYS);
    EXPECT_EQ(this->call(&this->word, FUTEX_WAKE_OP, 1, 1, &this->word2, 5L << 28), -ENOSYS);
    EXPECT_EQ(this->call(&this->word, FUTEX_WAKE_OP, 1, 1, &this->word2, 6L << 24), -ENOSYS);
  });
}

TYPED_TEST(Futex, SharedWaitsAreWokenBySharedWakes) {
  std::atomic<bool> woken = false;
  this->crew.start([&] {
    EXPECT_EQ(this->raw(&this->word, FUTEX_WAIT, 4), -EAGAIN);
    EXPECT_EQ(this->raw(&this->word, FUTEX_WAIT, 5), 0);
    woken = true;
  });
  ASSERT_TRUE(eventually([&] { return this->raw(&this->word, FUTEX_WAKE, INT_MAX) == 1; }));
  EXPECT_TRUE(eventually([&] { return woken.load(); }));
}

TYPED_TEST(Futex, AThreadsEndWakesWhoWaitsForItsId) {
  this->start_waiter(this->word);
  if (std::is_same_v<TypeParam, Kernel>) {
    return;  // here only the kernel itself could do it
  }
  host::wake_address(&this->word, 1);
  EXPECT_TRUE(this->eventually_returned(1));
}

TYPED_TEST(Futex, APriorityInheritingLockNamesItsOwner) {
  this->run([this] {
    typename TestFixture::Word lock = 0;
    EXPECT_EQ(this->call(&lock, FUTEX_LOCK_PI, 0), 0);
    EXPECT_EQ(lock & FUTEX_TID_MASK, static_cast<uint32_t>(sys::gettid()));
    EXPECT_EQ(this->call(&lock, FUTEX_UNLOCK_PI, 0), 0);
  });
}

// What signal(7) says of futexes: restarted if there is no time-out, and never if there is one.
TYPED_TEST(Futex, ASignalInterruptsOrRestarts) {
  struct sigaction action {};
  action.sa_handler = [](int) {};
  action.sa_flags = SA_RESTART;
  sigaction(SIGUSR1, &action, nullptr);
  for (bool timed : {true, false}) {
    std::atomic<long> result = 1;
    std::atomic<pthread_t> thread = 0;
    std::atomic<core::Fiber*> fiber = nullptr;
    timespec time{1000, 0};
    this->crew.start([&] {
      thread = pthread_self();
      fiber = core::current();
      result = this->wait(this->word, 5, timed ? &time : nullptr);
    });
    ASSERT_TRUE(eventually([&] { return this->waiting(this->word) == 1; }));
    if (core::Fiber* parked = fiber.load()) {
      EXPECT_TRUE(core::interrupt(*parked));
      ASSERT_TRUE(eventually([&] { return result != 1; }));
      EXPECT_EQ(result, timed ? -EINTR : sys::kRestart);
    } else if (timed) {
      ASSERT_TRUE(eventually([&] {
        pthread_kill(thread, SIGUSR1);
        return result != 1;
      }));
      EXPECT_EQ(result, -EINTR);
    } else {
      pthread_kill(thread, SIGUSR1);
      EXPECT_EQ(this->wake(this->word), 1);
      ASSERT_TRUE(eventually([&] { return result == 0; }));
    }
    this->crew.join();
  }
}

}  // namespace
}  // namespace ramie::test

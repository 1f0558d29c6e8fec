#include <gtest/gtest.h>
#include <ramie/fiber.h>

#include "core/carrier.h"
#include "core/cpu_clock.h"
#include "core/scheduler.h"

namespace {

using ramie::core::Carrier;
using ramie::core::Fiber;

int alarms = 0;

void count_alarm(Carrier& carrier) {
  ++alarms;
  ramie::core::set_cpu_alarm(carrier.thread, ramie::core::kNoAlarm);
}

constexpr int64_t kMillisecond = 1'000'000;

class CpuAlarm : public ::testing::Test {
 protected:
  CpuAlarm() : carrier_(ramie::core::attach()) {
    static ramie::core::SignalHooks hooks = ramie::core::signal_hooks();
    hooks.alarm = count_alarm;
    ramie::core::set_signal_hooks(&hooks);
    alarms = 0;
  }

  // Light fibers are charged to the thread that they belong to.
  [[nodiscard]] Fiber& payer() const { return carrier_.thread; }
  [[nodiscard]] int64_t used() const { return ramie::core::cpu_time_of(payer()); }

  void compute_until(int64_t nanos) const {
    while (used() < nanos) {
    }
  }

  static void leave_once() {
    ramie::spawn([] {}).join();
  }

  Carrier& carrier_;
};

TEST_F(CpuAlarm, ComesAsTheFiberIsLeftAfterItsTime) {
  const int64_t begin = used();
  ramie::core::set_cpu_alarm(payer(), begin + 1000 * kMillisecond);
  EXPECT_TRUE(ramie::core::is_cpu_alarm_set());
  leave_once();
  EXPECT_EQ(alarms, 0);
  ramie::core::set_cpu_alarm(payer(), begin + 2 * kMillisecond);
  compute_until(begin + 2 * kMillisecond);
  EXPECT_EQ(ramie::core::nanos_to_alarm(carrier_), 0) << "the watchdog would tell";
  EXPECT_EQ(alarms, 0);
  leave_once();
  EXPECT_EQ(alarms, 1);
  EXPECT_FALSE(ramie::core::is_cpu_alarm_set());
}

TEST_F(CpuAlarm, DoesNotComeOnceItIsEnded) {
  const int64_t begin = used();
  ramie::core::set_cpu_alarm(payer(), begin + kMillisecond);
  ramie::core::set_cpu_alarm(payer(), ramie::core::kNoAlarm);
  EXPECT_FALSE(ramie::core::is_cpu_alarm_set());
  EXPECT_EQ(ramie::core::nanos_to_alarm(carrier_), ramie::core::kNoAlarm);
  compute_until(begin + 2 * kMillisecond);
  leave_once();
  EXPECT_EQ(alarms, 0);
}

}  // namespace

// The processor time that each fiber has used.
//
// The kernel counts by kernel thread, and asking it at each switch would cost as much as several
// switches.  So nothing is counted until somebody asks for the first time: from then on a carrier
// charges what it has used since its last switch to the fiber that it leaves.
#pragma once

#include <atomic>
#include <cstdint>

namespace ramie::core {

struct Carrier;
struct Fiber;

// What a carrier has charged, and to whom; written by it alone.  A sequence lock: `version` is odd
// while the other words and WaitState::cpu_time change.
struct CpuAccount {
  std::atomic<uint32_t> version = 0;
  std::atomic<const Fiber*> charged = nullptr;  // who pays now; null: whoever runs, as yet
  std::atomic<int64_t> since = 0;  // the kernel thread's clock when that began, in nanoseconds
};

// Whether anything is counted.
[[gnu::visibility("hidden")]] extern std::atomic<bool> cpu_clocks_run;

// For the switch, while they run: `from` is left for `to`, which it returns.
[[gnu::cold]] Fiber& charge(Carrier& carrier, Fiber& from, Fiber& to);

// Nanoseconds that the fiber has used: since the first call of this for any fiber, and what
// set_cpu_time() has said.  Light fibers share the clock of the thread they belong to, and ask for
// themselves alone.  Inside the runtime; the fiber must not end meanwhile.
[[nodiscard]] int64_t cpu_time_of(Fiber& fiber);

// What the calling kernel thread has used.
[[nodiscard]] int64_t own_cpu_time();

// For a fiber that has used some before it was one.
void set_cpu_time(Fiber& fiber, int64_t nanos);

// An alarm of the fiber's clock: once that has come to `nanos`, SignalHooks::alarm is called, on
// some kernel thread and maybe several times, until the alarm is set anew.  It comes as the fiber
// is left, or with the watchdog's next look.  A fiber has one; who sets it sees to it that nobody
// else does meanwhile, and ends it (kNoAlarm) before the fiber's memory is another's.
inline constexpr int64_t kNoAlarm = INT64_MAX;
void set_cpu_alarm(Fiber& fiber, int64_t nanos);

// For the watchdog: whether any fiber has one, and how long the one that runs on a carrier has at
// least until its own; kNoAlarm, if it has none.
[[nodiscard]] bool is_cpu_alarm_set();
[[nodiscard]] int64_t nanos_to_alarm(const Carrier& carrier);

// On the kernel thread that the carrier is from now on.
void begin_cpu_account(Carrier& carrier);

// In the child, whose clocks begin anew.
void reset_cpu_clocks_after_fork(Carrier& carrier);

}  // namespace ramie::core

#include "core/tls_choice.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/deadline.h"

namespace ramie::core::tls {
namespace {

constexpr int64_t kInterval = 10'000'000;  // ns between two looks

// Who changes over has to gain by it: the other mode is taken when it costs less than half.
constexpr uint64_t kMargin = 2;

// Here a trap takes as long as so many writes by a call; 0 before somebody has measured it.
constinit std::atomic<uint32_t> trap_in_calls = 0;

int64_t shortest(void (*action)(const Cpu&), const Cpu& cpu) {
  constexpr int kTimes = 4;
  int64_t least = INT64_MAX;
  for (int i = 0; i < kTimes; ++i) {
    int64_t before = base::now();
    action(cpu);
    least = std::min(least, base::now() - before);
  }
  return least;
}

// How often the kernel took the processor from the calling thread.
uint64_t preemptions_so_far() {
  rusage usage{};
  (void)sys::call(SYS_getrusage, RUSAGE_THREAD, sys::arg(&usage));
  return static_cast<uint64_t>(usage.ru_nivcsw);
}

// In trap mode, those that had a price.
uint64_t preemptions_so_far(const Cpu& cpu) {
  return cpu.mode == Mode::trap ? cpu.traps.load(std::memory_order_relaxed) : preemptions_so_far();
}

}  // namespace

uint32_t measure_trap_in_calls(const Cpu& cpu) {
  int64_t trap = shortest(
      [](const Cpu& here) {
        write_fs_base(here.trap_fs);
        (void)self();
      },
      cpu);
  int64_t call = shortest(
      [](const Cpu& here) {
        (void)tell_kernel(here.trap_fs);
        write_fs_base(here.current_fs);
      },
      cpu);
  constexpr int64_t kMost = 100;
  return static_cast<uint32_t>(std::clamp<int64_t>(trap / std::max<int64_t>(call, 1), 1, kMost));
}

Mode cheaper(Mode mode, uint64_t traps, uint64_t writes) {
  if (mode == Mode::trap) {
    return traps > writes * kMargin ? Mode::prctl : Mode::trap;
  }
  return traps * kMargin < writes ? Mode::trap : Mode::prctl;
}

void change_to(Cpu& cpu, Mode mode) {
  cpu.mode = mode;
  if (mode == Mode::trap) {
    make_trapped(cpu);
  } else {
    (void)tell_kernel(cpu.current_fs);
  }
}

void reconsider(Cpu& cpu, int64_t now, uint64_t switches) {
  Choice& choice = cpu.choice;
  if (cpu.slot < 0 || !may_choose()) {
    choice.next_look = INT64_MAX;
    return;
  }
  if (choice.next_look != 0) {  // the first look has nothing before it
    uint32_t price = trap_in_calls.load(std::memory_order_relaxed);
    if (price == 0) {
      price = measure_trap_in_calls(cpu);
      trap_in_calls.store(price, std::memory_order_relaxed);
    }
    Mode wanted = cheaper(cpu.mode, (preemptions_so_far(cpu) - choice.preemptions) * price,
                          switches - choice.switches);
    if (wanted != cpu.mode) {
      change_to(cpu, wanted);
    }
  }
  choice = {now + kInterval, preemptions_so_far(cpu), switches};
}

}  // namespace ramie::core::tls

#include "core/tls_choice.h"

#include <sys/resource.h>

#include <algorithm>

#include "base/deadline.h"
#include "core/carrier.h"
#include "core/crew.h"
#include "core/scheduler.h"
#include "core/tls_trap.h"

namespace ramie::core::tls {
namespace {

constexpr int64_t kInterval = 10'000'000;         // ns between two looks
constexpr int64_t kLongInterval = 1'000'000'000;  // where there is no choice

// Who changes over has to gain by it: the other mode is taken when it costs less than half.
constexpr uint64_t kMargin = 2;

// Who has to leave trap mode again within so many looks waits twice as long before the next try,
// for prctl mode doesn't see all that would be a trap.  At most so many looks.
constexpr uint32_t kSoon = 2;
constexpr uint32_t kMostPatience = 64;

// Longer after a livelock: its tracer may stay.
constexpr uint32_t kLivelockFactor = 32;
constexpr uint32_t kMostAfterLivelock = 1024;
// What goes on so long is one, and a call that may be punished is better than to stay there.
constexpr unsigned kHopeless = 64;

// Here a trap takes as long as so many writes by a call; 0 before somebody has measured it.
constinit std::atomic<uint32_t> trap_in_calls = 0;

constinit std::atomic<bool> has_filters = false;  // of the program's

// While it is in trap mode, which any trap may end: in prctl mode, one that is preempted is not
// known for a trap any more.
int64_t shortest(void (*action)(const Cpu&), const Cpu& cpu) {
  constexpr int kTimes = 4;
  int64_t least = INT64_MAX;
  for (int i = 0; i < kTimes && cpu.mode == Mode::trap; ++i) {
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

void note(Cpu& cpu, int64_t now) {
  cpu.choice.next_look = now + kInterval;
  cpu.choice.preemptions = preemptions_so_far(cpu);
  cpu.choice.writes = cpu.writes;
}

void come_back_later(Choice& choice, uint32_t factor, uint32_t most) {
  choice.patience = std::max(choice.patience, std::min(choice.patience * factor, most));
}

// What is counted from here on is of the mode that has just begun.
void begin_mode(Choice& choice) {
  choice.looks = 0;
  choice.look_anew();
}

// False if the kernel refuses.
bool begin_calls(Cpu& cpu) {
  if (sys::failed(tell_kernel(cpu.current_fs))) {
    return false;
  }
  cpu.mode = Mode::prctl;
  begin_mode(cpu.choice);
  return true;
}

void decide(Cpu& cpu) {
  Choice& choice = cpu.choice;
  uint64_t traps = preemptions_so_far(cpu) - choice.preemptions;
  Mode wanted = cheaper(cpu.mode, traps * trap_in_calls.load(std::memory_order_relaxed),
                        cpu.writes - choice.writes);
  bool is_first = choice.next_look == 0;
  ++choice.looks;
  if (is_first || wanted == cpu.mode || (wanted == Mode::trap && choice.looks < choice.patience)) {
    return;
  }
  if (wanted == Mode::prctl && choice.looks <= kSoon) {
    come_back_later(choice, 2, kMostPatience);
  } else if (wanted == Mode::prctl) {
    choice.patience = 1;
  }
  choice.looks = 0;
  change_to(cpu, wanted);
}

}  // namespace

uint32_t measure_trap_in_calls(const Cpu& cpu) {
  int64_t trap = shortest(
      [](const Cpu& here) {
        write_fs_base(here.trap_fs);
        (void)self();
      },
      cpu);
  int64_t call = shortest([](const Cpu& here) { (void)arm_trap(here); }, cpu);
  if (cpu.mode != Mode::trap) {
    return 0;
  }
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
  Choice& choice = cpu.choice;
  if (mode == Mode::trap) {
    cpu.mode = Mode::trap;  // first: what traps from here on may change it again
    if (sys::failed(arm_trap(cpu))) {
      cpu.mode = Mode::prctl;  // it still has the present one; the next write ends the process
      return;
    }
    choice.calls.store(false, std::memory_order_release);
    begin_mode(choice);
  } else {
    // Sequentially consistent: this sees that the choice is held, or stay_with_traps() sees this.
    choice.calls.store(true, std::memory_order_seq_cst);
    if (choice.only_traps || is_choice_held() || !begin_calls(cpu)) {
      choice.calls.store(false, std::memory_order_relaxed);
    }
  }
}

void leave_livelock(Cpu& cpu) {
  Choice& choice = cpu.choice;
  bool has_choice = may_choose() || is_choice_held();
  if (cpu.livelock.rows() < kHopeless &&
      (choice.only_traps || is_choice_held() || is_filtered_by_program())) {
    return;
  }
  if (!begin_calls(cpu)) {
    return;
  }
  if (has_choice) {
    choice.calls.store(true, std::memory_order_seq_cst);
    come_back_later(choice, kLivelockFactor, kMostAfterLivelock);
  } else {
    start_with_calls();
  }
}

void reconsider(Cpu& cpu, int64_t now) {
  if (cpu.slot < 0 || !may_choose() || cpu.choice.only_traps || is_filtered_by_program()) {
    go_back_to_traps(cpu);
    cpu.choice.next_look = now + kLongInterval;
    return;
  }
  if (trap_in_calls.load(std::memory_order_relaxed) != 0) {
    decide(cpu);
  } else if (cpu.choice.next_look != 0) {  // not at once: many processes end soon
    trap_in_calls.store(measure_trap_in_calls(cpu), std::memory_order_relaxed);
  }
  note(cpu, now);
}

void go_back_to_traps(Cpu& cpu) {
  if (cpu.choice.calls.load(std::memory_order_relaxed)) {
    change_to(cpu, Mode::trap);
  }
}

void stay_with_traps(Cpu& cpu) {
  cpu.choice.only_traps = true;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // before: see leave_livelock()
  go_back_to_traps(cpu);
}

void stay_with_traps() {
  constexpr int kRounds = 200;
  constexpr timespec kRound{0, 1'000'000};
  hold_choice();
  if (const Fiber* self = current()) {
    go_back_to_traps(self->carrier->cpu);
  }
  for (int i = 0; i < kRounds; ++i) {
    bool has_seen_one = false;
    for (Carrier* each = carriers(); each != nullptr; each = each->next_carrier) {
      // Sequentially consistent: see change_to().
      if (each->cpu.choice.calls.load(std::memory_order_seq_cst)) {
        has_seen_one = true;
        wake(*each);
      }
    }
    if (!has_seen_one) {
      return;
    }
    (void)sys::call(SYS_nanosleep, sys::arg(&kRound), 0);
  }
}

void note_filter() { has_filters.store(true, std::memory_order_relaxed); }
void choose_again(Cpu& cpu) { cpu.choice.only_traps = false; }
void choose_again() { release_choice(); }

bool is_filtered_by_program() {
  return has_filters.load(std::memory_order_relaxed) && is_filtered();
}

}  // namespace ramie::core::tls

#include "core/tls.h"

#include "base/check.h"
#include "core/tls_trap.h"

namespace ramie::core::tls {
namespace {

constinit std::atomic<Mode> selected = Mode::none;
constinit std::atomic<bool> traps = false;
enum class Choosing : uint8_t { no, yes, held };
constinit std::atomic<Choosing> choosing = Choosing::no;

void change_choosing(Choosing from, Choosing to) {
  (void)choosing.compare_exchange_strong(from, to, std::memory_order_seq_cst);
}

}  // namespace

const char* name(Mode mode) {
  switch (mode) {
    case Mode::fsgsbase:
      return "fsgsbase";
    case Mode::trap:
      return "trap";
    case Mode::prctl:
      return "prctl";
    case Mode::none:
      break;
  }
  return "none";
}

const char* select(base::FsChoice wish) {
  // prctl needs no probe, so that a host on which probing itself fails has a way out.
  Mode best = wish == base::FsChoice::prctl ? Mode::prctl : probe();
  Mode wanted = best;
  if (wish == base::FsChoice::fsgsbase) {
    if (best != Mode::fsgsbase) {
      return "the kernel does not keep what the wrfsbase instruction writes; use auto";
    }
  } else if (wish == base::FsChoice::trap) {
    if (best == Mode::prctl) {
      return "the wrfsbase instruction does not execute here; use auto";
    }
    wanted = Mode::trap;
  }
  if (wanted != Mode::fsgsbase && sys::failed(tell_kernel(self()))) {
    return "the kernel refuses arch_prctl";
  }
  // Without room for the map, prctl still works.
  if (wanted == Mode::trap && reserve_trap_map() < 0) {
    wanted = Mode::prctl;
  }
  traps.store(wanted == Mode::trap, std::memory_order_relaxed);
  bool is_left_to_carriers = wanted == Mode::trap && wish == base::FsChoice::automatic;
  choosing.store(is_left_to_carriers ? Choosing::yes : Choosing::no, std::memory_order_relaxed);
  selected.store(wanted, std::memory_order_release);  // pairs with mode()
  return nullptr;
}

Mode mode() { return selected.load(std::memory_order_acquire); }

// Sequentially consistent, as what changes it: see change_to().
bool may_choose() { return choosing.load(std::memory_order_seq_cst) == Choosing::yes; }
bool is_choice_held() { return choosing.load(std::memory_order_seq_cst) == Choosing::held; }
void hold_choice() { change_choosing(Choosing::yes, Choosing::held); }
void release_choice() { change_choosing(Choosing::held, Choosing::yes); }

void start_with_calls() { selected.store(Mode::prctl, std::memory_order_release); }

void end_for_want_of_calls() {
  base::fail("the program's filter of system calls refuses arch_prctl; use RAMIE_HOSTING=off",
             __FILE__, __LINE__);
}

bool may_trap() { return traps.load(std::memory_order_relaxed); }

int start_thread(Cpu& cpu) {
  cpu.own_fs = self();
  cpu.current_fs = cpu.own_fs;
  cpu.livelock.switched();
  cpu.choice.begin();
  Mode mode_now = mode();
  bool traps_here = mode_now == Mode::trap;
  if (traps_here && cpu.slot < 0) {
    if (int result = claim_slot(cpu); result < 0) {
      return result;
    }
  }
  if (traps_here || mode_now == Mode::prctl) {
    if (long told = traps_here ? arm_trap(cpu) : tell_kernel(cpu.own_fs); sys::failed(told)) {
      release_slot(cpu);
      cpu.mode = Mode::none;
      return static_cast<int>(told);
    }
  }
  cpu.mode = mode_now;
  return 0;
}

void stop_thread(Cpu& cpu) {
  if (cpu.mode == Mode::trap && sys::failed(tell_kernel(cpu.current_fs))) {
    return;  // a filter of system calls refuses it; what still traps is repaired
  }
  cpu.mode = Mode::none;
  cpu.choice.calls.store(false, std::memory_order_relaxed);
  release_slot(cpu);
}

void after_fork(Cpu& cpu) {
  stop_thread(cpu);
  after_fork();
}

void after_fork() { forget_slots(); }

void make_real(Cpu& cpu) {
  if (cpu.mode == Mode::trap) {
    (void)tell_kernel(cpu.current_fs);
  }
}

void make_trapped(Cpu& cpu) {
  if (cpu.mode == Mode::trap) {
    (void)arm_trap(cpu);
  }
}

}  // namespace ramie::core::tls

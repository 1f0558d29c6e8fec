#include "core/tls.h"

#include "core/tls_trap.h"

namespace ramie::core::tls {
namespace {

constinit std::atomic<Mode> selected = Mode::none;
constinit std::atomic<bool> traps = false;
constinit std::atomic<bool> chooses = false;

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
  // Without room for the map, prctl still works.
  if (wanted == Mode::trap && reserve_trap_map() < 0) {
    wanted = Mode::prctl;
  }
  traps.store(wanted == Mode::trap, std::memory_order_relaxed);
  chooses.store(wanted == Mode::trap && wish == base::FsChoice::automatic,
                std::memory_order_relaxed);
  selected.store(wanted, std::memory_order_release);  // pairs with mode()
  return nullptr;
}

Mode mode() { return selected.load(std::memory_order_acquire); }

bool may_choose() { return chooses.load(std::memory_order_relaxed); }

bool may_trap() { return traps.load(std::memory_order_relaxed); }

void give_up_trap(Cpu& cpu) {
  cpu.mode = Mode::prctl;
  (void)tell_kernel(cpu.current_fs);
  selected.store(Mode::prctl, std::memory_order_release);
  release_slot(cpu);
}

int start_thread(Cpu& cpu) {
  cpu.own_fs = self();
  cpu.current_fs = cpu.own_fs;
  cpu.livelock.switched();
  cpu.choice = {};
  Mode mode_now = mode();
  if (mode_now == Mode::trap) {
    int result = claim_slot(cpu);
    if (result < 0) {
      return result;
    }
  }
  cpu.mode = mode_now;
  make_trapped(cpu);
  return 0;
}

void stop_thread(Cpu& cpu) {
  make_real(cpu);
  cpu.mode = Mode::none;
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
    // In between, the FS base is the trap's: a handler that runs there is repaired as usual.
    (void)tell_kernel(cpu.trap_fs);
    write_fs_base(cpu.current_fs);
  }
}

}  // namespace ramie::core::tls

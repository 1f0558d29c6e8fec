// The FS base: where the running fiber's thread control block is, and so every thread-local of the
// program.  A hosted fiber has its own; the carrier writes the FS base when it switches.
//
// There are three ways to write it, behind one interface:
//
// | mode     | a write is     | when                                                          |
// |----------|----------------|---------------------------------------------------------------|
// | fsgsbase | an instruction | the kernel says (AT_HWCAP2) that it keeps what wrfsbase wrote |
// | trap     | an instruction | wrfsbase executes, but the kernel forgets it on a preemption  |
// | prctl    | a system call  | always right                                                  |
//
// In trap mode the kernel is told, once per carrier, an FS base inside a reserved map without
// access.  That is what it puts back after a preemption, so the first thread-local access then
// faults, and handle_fault() writes the right one again.  Each carrier has its own address in that
// map; the handler knows its carrier by it, so the GS base stays the program's.
//
// Trap mode asks two things of others: SIGSEGV is never blocked in the kernel (fault.h has the
// mask), and whoever starts a process that shares or copies this one wraps it in make_real() and
// make_trapped().
#pragma once

#include <signal.h>

#include <atomic>
#include <cstdint>

#include "base/config.h"
#include "base/sys.h"

namespace ramie::core::tls {

enum class Mode : uint8_t { none, fsgsbase, trap, prctl };

[[nodiscard]] const char* name(Mode mode);

// What this host offers, the cheapest mode that works.  Runs a short-lived child process (no signal
// and no handler of the program is involved) where the kernel doesn't announce FSGSBASE.
[[nodiscard]] Mode probe();

// Chooses the mode for all carriers: the probed one, or the one that is asked for.  Returns null,
// or why the wish can't be granted (a static text that goes behind "RAMIE_FS: ").
[[nodiscard]] const char* select(base::FsChoice wish);

// The mode of carriers that start now, `none` before select().  It can change from trap to prctl at
// any time.
[[nodiscard]] Mode mode();

// Whether some carrier may be in trap mode: also after that change, which only one of them has
// made.
[[nodiscard]] bool may_trap();

// Recognises a trap that makes no progress: something (strace, a debugger) preempts the thread
// between the handler and the instruction every time.  A loop that is preempted at the same
// instruction again and again may be equal in all registers, as one that tries a lock; but in
// between it computes.
class Livelock {
 public:
  // On a loaded machine three in a row have been seen without any tracer.  Being sure costs
  // microseconds, once; being wrong would cost each later switch.
  static constexpr unsigned kLimit = 16;

  // What kLimit traps may use of the processor, if nothing but traps happens.
  static constexpr int64_t kMostUsed = 3'000'000;  // ns

  // A trap was repaired; `registers` are all of the interrupted ones.  True at the kLimit-th in
  // a row with equal registers, between which the calling kernel thread has done little else.
  bool trapped(const greg_t* registers);

  // The carrier switched: what went before says nothing any more.
  void switched() {
    repeats_ = 0;
    rows_ = 0;
  }

  // How many rows of kLimit there were since then.
  [[nodiscard]] unsigned rows() const { return rows_; }

 private:
  uint64_t state_ = 0;  // a digest of the registers
  unsigned repeats_ = 0;
  unsigned rows_ = 0;
  int64_t used_before_ = 0;  // processor time at the first of the row
};

// A carrier's choice between trap and prctl mode, and its last look at what either costs it; see
// tls_choice.h.
struct Choice {
  int64_t next_look = 0;  // 0: there was none yet
  uint64_t preemptions = 0;
  uint64_t writes = 0;
  uint32_t looks = 0;       // since the mode has changed
  uint32_t patience = 1;    // how many there are at least before trap mode is tried again
  bool only_traps = false;  // its kernel thread has a filter of system calls, or is to have one
  std::atomic<bool> calls = false;  // it has chosen prctl mode; anybody may read that

  void begin() {
    next_look = 0;
    looks = 0;
    patience = 1;
    only_traps = false;
    calls.store(false, std::memory_order_relaxed);
  }
  // What was counted so far says nothing any more.
  void look_anew() { next_look = 0; }
};

// What a carrier keeps about its FS base.  Only its own kernel thread writes here, in its normal
// flow or in its SIGSEGV handler; `traps` may be read by anybody.
struct Cpu {
  uintptr_t current_fs = 0;  // what the FS base has to be now; written before the FS base is
  Mode mode = Mode::none;
  int slot = -1;          // trap mode: the index of this carrier's address in the map
  uintptr_t own_fs = 0;   // the carrier's own thread control block
  uintptr_t trap_fs = 0;  // trap mode: what the kernel puts back
  Livelock livelock;
  Choice choice;
  std::atomic<uint64_t> traps = 0;
  uint64_t writes = 0;  // of the FS base, by switches
};

// Whether carriers choose between trap and prctl mode by themselves; not while somebody holds that.
[[nodiscard]] bool may_choose();
[[nodiscard]] bool is_choice_held();
void hold_choice();
void release_choice();

// Carriers that start from here on work by prctl.
void start_with_calls();

// On the carrier's kernel thread, when it begins to switch: notes its own FS base and enters the
// selected mode.  0 or -errno.
[[nodiscard]] int start_thread(Cpu& cpu);

// Leaves the mode: the kernel's idea of the FS base becomes the current fiber's again, for good.
void stop_thread(Cpu& cpu);

// In a fork's child, on the carrier that called fork: the others are gone, and this thread goes on
// without a carrier, as the fiber that called.
void after_fork(Cpu& cpu);

// The same where a thread called that is no carrier.
void after_fork();

// Around everything that starts a process (fork, vfork, posix_spawn): the child starts with the FS
// base that the kernel knows.  No switch in between.
void make_real(Cpu& cpu);
void make_trapped(Cpu& cpu);

// The first thing for a SIGSEGV handler.  True: the fault was the trap and is repaired, return from
// the handler.  Also where it answers false the FS base is right afterwards.
//
// Runs with a wrong FS base: no thread-local, no stack protector, no call that could bind lazily.
[[nodiscard]] bool handle_fault(const siginfo_t* info, const void* context);

inline uintptr_t read_fs_base() {
  uintptr_t value;
  asm volatile("rdfsbase %0" : "=r"(value));
  return value;
}

inline void write_fs_base(uintptr_t value) {
  asm volatile("wrfsbase %0" : : "r"(value) : "memory");
}

// ARCH_SET_FS; -errno for an address that isn't one.
inline long tell_kernel(uintptr_t fs) {
  constexpr long kArchSetFs = 0x1002;
  return sys::call_with_two(SYS_arch_prctl, kArchSetFs, static_cast<long>(fs));
}

// By the ABI the first word of a thread control block is its own address, which makes it readable
// without rdfsbase and without a system call.
inline uintptr_t self() {
  uintptr_t value;
  asm volatile("mov %%fs:0, %0" : "=r"(value));
  return value;
}

// The kernel refuses what nothing works without.
[[noreturn, gnu::cold]] void end_for_want_of_calls();

// The switch itself.  current_fs comes first: a trap between the two writes the same value, and so
// does the change to prctl mode that it may bring.
inline void set(Cpu& cpu, uintptr_t fs) {
  if (cpu.current_fs == fs) [[likely]] {
    return;
  }
  cpu.livelock.switched();
  ++cpu.writes;
  cpu.current_fs = fs;
  std::atomic_signal_fence(std::memory_order_seq_cst);  // pairs with handle_fault() on this thread
  if (cpu.mode == Mode::prctl) {
    if (sys::failed(tell_kernel(fs))) [[unlikely]] {
      end_for_want_of_calls();
    }
  } else if (cpu.mode != Mode::none) {
    write_fs_base(fs);
  }
}

// After a system call in which the scheduler slept: the kernel has surely switched, so the trap
// would come for sure.
inline void refresh(Cpu& cpu) {
  if (cpu.mode == Mode::trap) {
    cpu.livelock.switched();
    write_fs_base(cpu.current_fs);
  }
}

}  // namespace ramie::core::tls

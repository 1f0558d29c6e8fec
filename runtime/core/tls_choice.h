// Where the kernel doesn't keep what wrfsbase writes, trap mode is the cheaper one as long as the
// carrier is seldom preempted: it pays for each preemption, prctl mode for each write.  On a
// processor that many share, a server may be preempted for each request.  So each carrier's loop
// looks now and then at how often either happens, and changes over.  See docs/decisions/0024.
//
// What concerns one carrier is for its own kernel thread.
#pragma once

#include "core/tls.h"

namespace ramie::core::tls {

// As how many calls of arch_prctl a trap takes here.  Of a carrier with an address in the trap map,
// whose mode may have changed afterwards (see leave_livelock()).
[[nodiscard]] uint32_t measure_trap_in_calls(Cpu& cpu);

// Which of the two suits a carrier in `mode` that since the last look was to pay for traps as much
// as for so many calls, or for so many writes by a call.
[[nodiscard]] Mode cheaper(Mode mode, uint64_t traps, uint64_t writes);

// Changes a carrier with an address in the trap map over, unless the kernel refuses.
void change_to(Cpu& cpu, Mode mode);

// What makes the next look.
void reconsider(Cpu& cpu, int64_t now);

inline void reconsider_now_and_then(Cpu& cpu, int64_t now) {
  bool is_called_back = cpu.choice.calls.load(std::memory_order_relaxed) && !may_choose();
  if (now >= cpu.choice.next_look || is_called_back) [[unlikely]] {
    reconsider(cpu, now);
  }
}

// From the handler: traps make no progress.  The carrier works by prctl from here on, for some time
// or, where it has no choice, for good, and so does every carrier that starts later.
void leave_livelock(Cpu& cpu);

// Before the carrier stands by, perhaps for long.
void go_back_to_traps(Cpu& cpu);

// Before the program gets a filter of system calls, which may refuse those of prctl mode, or punish
// them: that carrier, or all of them, work by traps from here on, if they may.  The second waits
// for the others, but not for long.
void stay_with_traps(Cpu& cpu);
void stay_with_traps();

}  // namespace ramie::core::tls

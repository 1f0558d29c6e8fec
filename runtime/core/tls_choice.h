// Where the kernel doesn't keep what wrfsbase writes, trap mode is the cheaper one as long as the
// carrier is seldom preempted: it pays for each preemption, prctl mode for each write.  On a
// processor that many share, a server may be preempted for each request.  So each carrier's loop
// looks now and then at how often either happens, and changes over.  See docs/decisions/0024.
//
// What concerns one carrier is for its own kernel thread.
#pragma once

#include "core/tls.h"

namespace ramie::core::tls {

// As how many calls of arch_prctl a trap takes here.  0 if the carrier is not in trap mode, or is
// so no more (leave_livelock()).
[[nodiscard]] uint32_t measure_trap_in_calls(const Cpu& cpu);

// Which of the two suits a carrier in `mode` that since the last look was to pay for traps as much
// as for so many calls, or for so many writes by a call.
[[nodiscard]] Mode cheaper(Mode mode, uint64_t traps, uint64_t writes);

// Changes a carrier with an address in the trap map over, unless the kernel refuses, or it is to
// have traps only.
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
// them: that carrier, or all of them, have traps only from here on.  The second waits for the
// others, but not for ever.
void stay_with_traps(Cpu& cpu);
void stay_with_traps();

// It has got one.  Or none: things are as before.
void note_filter();
void choose_again(Cpu& cpu);
void choose_again();

// The calling kernel thread has a filter, and the program has asked for one.  (One that the process
// had from the beginning allows what is needed.)
[[nodiscard]] bool is_filtered_by_program();

}  // namespace ramie::core::tls

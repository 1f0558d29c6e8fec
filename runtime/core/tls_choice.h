// Where the kernel doesn't keep what wrfsbase writes, trap mode is the cheaper one as long as the
// carrier is seldom preempted: it pays for each preemption, prctl mode for each switch.  On a
// processor that many share, a server may be preempted for each request.  So each carrier's loop
// looks now and then at how often either happens, and changes over.  See docs/decisions/0024.
#pragma once

#include "core/tls.h"

namespace ramie::core::tls {

// As how many calls of arch_prctl a trap takes here.  On the kernel thread of a carrier in trap
// mode.
[[nodiscard]] uint32_t measure_trap_in_calls(const Cpu& cpu);

// Which of the two suits a carrier in `mode` that since the last look was to pay for traps as much
// as for so many calls, or for so many writes by a call.
[[nodiscard]] Mode cheaper(Mode mode, uint64_t traps, uint64_t writes);

// Changes a carrier with an address in the trap map over.  On its kernel thread.
void change_to(Cpu& cpu, Mode mode);

// What makes the next look, if it is due.  On the carrier's kernel thread, whose switches so far
// are `switches`.
void reconsider(Cpu& cpu, int64_t now, uint64_t switches);

inline void reconsider_now_and_then(Cpu& cpu, int64_t now, uint64_t switches) {
  if (now >= cpu.choice.next_look) [[unlikely]] {
    reconsider(cpu, now, switches);
  }
}

}  // namespace ramie::core::tls

// Carriers apart from the crew: each is the kernel thread of one fiber alone.
//
// What the kernel keeps for each thread (its affinity, its nice value, its scheduling policy) holds
// for a fiber only where that fiber is bound to a kernel thread, and no other runs there.  Such a
// carrier runs the fibers whose home it is.  It neither steals nor polls, isn't counted in the crew
// and isn't called for help; what its fiber makes ready goes to the crew.
//
// It is a bare one, started for a fiber, which ends with it.  Or it is the one of the first thread
// (with its light fibers), which leaves the crew.
#pragma once

#include "core/carrier.h"
#include "core/kernel_thread.h"

namespace ramie::core {

// The most bare ones at the same time.
inline constexpr uint32_t kMaxApart = 3072;

// From whom a kernel thread inherits what clone(2) hands on.
enum class Heir : uint8_t {
  of_crew,    // from one that nobody has changed
  of_caller,  // from the caller's
};

// Starts a bare one, to which fibers can be bound.  Its kernel thread may not have begun.  Null
// when no kernel thread can be had.
[[nodiscard]] Carrier* start_apart(Heir heir);

// No fiber is at home there any more, or the caller is the last one: the kernel thread ends as soon
// as nobody runs on it.  Any thread.
void end_apart(Carrier& carrier);

// The calling fiber moves to its home, if it has one.  Switches.
void go_home();

// The calling fiber, at home on a bare one, may run anywhere again.  Switches.
void leave_home();

// The calling carrier takes part in the crew no longer.  False if nobody could take its place: then
// it still does.
[[nodiscard]] bool leave_crew(Carrier& carrier);
void join_crew(Carrier& carrier);

// If the calling fiber runs on a carrier that leaves the crew, and isn't at home there, it runs
// elsewhere from here on.  Switches.
void leave_alone(const Carrier& leaving);

// The carrier apart that the fiber is bound to; null if there is none.
[[nodiscard]] Carrier* home_apart(const Fiber& fiber);

// The id of a kernel thread which has what those of the crew have; 0 stands for the caller's.
[[nodiscard]] int tid_in_crew();

// As start_kernel_thread(): what it inherits is the crew's, whoever calls.
[[nodiscard]] int start_thread_of_crew(KernelThread& thread);

// The loop's turn on a carrier that isn't in the crew, or is asked to leave it.  False: it ends.
[[nodiscard]] bool take_turn_apart(Carrier& carrier);

void reset_apart_after_fork();

}  // namespace ramie::core

// Fibers on several processors:
//
//     int main() {
//       ramie::use_carriers();                   // as many as there are processors
//       ramie::spawn(work).get();                // begins on any of them
//     }
//
// Without this, the fibers of a kernel thread take turns on it, and need no locks among themselves.
// With it they run in parallel: what they share needs a ramie::mutex, an atomic, or one of the
// other things of this library, all of which may be used from any of them.
//
// A fiber begins on whichever carrier is free, and then stays there; a carrier that has nothing to
// do takes fibers that have not begun from the others.  fiber_attributes::stays keeps one on the
// kernel thread that spawns it.  So spawn_now() does, whose fiber runs at once.
//
// A fiber that computes without waiting holds up those which stay on the same carrier, and nobody
// else.  RAMIE_BLOCKED=report names it.
#pragma once

#include <ramie/export.h>

namespace ramie {

// From now on spawn() lets a fiber begin on any of `count` kernel threads of the library's own; 0
// is what RAMIE_CARRIERS says, or as many as the affinity mask of the process
// (sched_getaffinity(2)) and the quota of its control group allow.  At most 256.  Fibers of before
// stay where they are, and the calling thread goes on to run its own.
//
// May be called again, for more.  Returns how many there are now.  1 if fibers stay on the kernel
// threads that spawn them, because 1 was asked for, no thread could be made, or the threads of the
// program are fibers of `ramie run` already; and if no more than one could be made (RAMIE_LOG=warn
// says so).  After a fork the child has none, until it calls this again.  They end with the
// process: fibers that still run then must not use what main() or exit() destroys, so wait for them
// before (join(), a group, join_all()).
//
// The kernel threads inherit the caller's signal mask, affinity and priority (pthread_create(3)).
// Any thread.  Never switches.
RAMIE_API unsigned use_carriers(unsigned count = 0) noexcept;

// How many there are; 1 without use_carriers().  Any thread.  Never switches.
[[nodiscard]] RAMIE_API unsigned carriers() noexcept;

}  // namespace ramie

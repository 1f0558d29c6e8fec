// Trap mode's map and its addresses, for tls.cc and tls_choice.cc alone (the mode itself is told in
// tls.h).
#pragma once

#include "core/tls.h"

namespace ramie::core::tls {

// Reserves the map, once.  0 or -errno.
[[nodiscard]] int reserve_trap_map();

// Gives `cpu` an address of its own in the map: slot and trap_fs.  -EAGAIN when all are taken.
[[nodiscard]] int claim_slot(Cpu& cpu);
void release_slot(Cpu& cpu);

// Tells the kernel that address, behind which the FS base stays the current one.  0 or -errno.
[[nodiscard]] long arm_trap(const Cpu& cpu);

// All addresses are free again (in a fork's child).
void forget_slots();

}  // namespace ramie::core::tls

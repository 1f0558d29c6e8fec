// Writes jumps over sites.
//
// Only while the process has one thread, or the others are kept still (Standstill in patch.h):
// another one could be inside of the bytes that change.  For the same reason not from a signal
// handler that has interrupted a system call of libc.  Handlers that run meanwhile are harmless:
// the text stays executable, and each site changes with one store.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>

#include "interpose/patch/site.h"

namespace ramie::patch {

// Makes the pages of text that hold the sites writable as well as executable, in one step: systems
// that forbid this (SELinux, PR_SET_MDWE) refuse here, where nothing has changed yet.  Returns 0 or
// -errno.
[[nodiscard]] long unlock_text(std::span<const Site> sites);

// Takes the right to write away again.  Returns 0 or -errno.
long lock_text(std::span<const Site> sites);

// Turns each site with the verdict kPatch into a jump to its trampoline.  Between unlock_text() and
// lock_text().
void write_jumps(std::span<const Site> sites);

}  // namespace ramie::patch

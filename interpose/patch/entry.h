// The seam between patched text and C++: what entry.S defines, and what it expects.
//
// A trampoline calls one of the entries with the registers of a `syscall` instruction.  While
// ramie_patch_active is 0, the entry makes the call itself and touches nothing else.  Otherwise it
// calls
//     extern "C" long ramie_syscall(long number, const long* arguments);
// (hidden, defined by interpose/host), with rdi, rsi, rdx, r10, r8 and r9 in that order on the
// caller's own stack below its red zone, and every register, the flags and the vector registers
// saved.  What it returns is what the program finds in rax.
#pragma once

#include <atomic>
#include <cstdint>

extern "C" {

// 0: patched sites go straight to the kernel.  1: to ramie_syscall.  Any thread may write it at any
// time; a call that is under way is not affected.
[[gnu::visibility("hidden")]] extern std::atomic<std::uint8_t> ramie_patch_active;

// The state components that the wide entries save with xsave; 0 makes them use fxsave.
[[gnu::visibility("hidden")]] extern std::uint32_t ramie_patch_state_mask;

// Never called from C++: only their addresses are used, in trampolines.
// "any": the number is unknown until run time, or is clone3's, and the call may be one that must be
// entered on the site's own stack.  "wide": the x87 and AVX state is saved, not only xmm.
[[gnu::visibility("hidden")]] void ramie_patch_entry();
[[gnu::visibility("hidden")]] void ramie_patch_entry_wide();
[[gnu::visibility("hidden")]] void ramie_patch_entry_any();
[[gnu::visibility("hidden")]] void ramie_patch_entry_any_wide();

// For a `syscall` instruction that the kernel has refused to carry out (interpose/host/
// user_dispatch.h).  The first wants, 136 bytes below the site's stack pointer, the address behind
// the instruction to return to.  At the others 32 places of 16 bytes make the call as it is and go
// on where their word in ramie_returns_of_syscall or ramie_returns_of_int80 says; a 33rd does at
// r9.
[[gnu::visibility("hidden")]] void ramie_dispatched_entry();
[[gnu::visibility("hidden")]] void ramie_syscall_in_place();
[[gnu::visibility("hidden")]] void ramie_int80_in_place();
}

namespace ramie::patch {

// Finds out what the wide entries have to save on this processor.  Before the first site is turned.
void choose_state_mask();

}  // namespace ramie::patch

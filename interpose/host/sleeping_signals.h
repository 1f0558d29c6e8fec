// What carriers that run no thread of the program let in: they sleep, or go to sleep, or are on the
// way to the next thread.  Between the files of signals only.
//
// A signal that every thread blocks has to stay with the kernel.  A carrier that sleeps lets in
// what some thread takes, and that thread may block it at any moment.  So the carrier first says
// what it lets in (Carrier::kernel_mask), then looks at the masks, then does it; and who blocks a
// signal first changes the mask, then looks at what carriers say, and waits for those that let it
// in.  Both are sequentially consistent, so one of the two sees the other.
#pragma once

#include <cstdint>

#include "core/carrier.h"

namespace ramie::host {

// The loop, before its carrier sleeps: core::SignalHooks::open.
void open_to_signals(core::Carrier& carrier, core::SleepMask* noted);

// Carriers that let one of these signals in which nobody may take now look at the masks again
// before we go on.  What some other thread takes, they let in for that one, and what can't be
// blocked there always.
void close_to_sleepers(uint64_t signals);

// Carriers that sleep and keep one of these signals out, which some thread lets in now, look at the
// masks again.  One that is about to sleep has noted its mask before it looks for the last time.
void open_sleepers(uint64_t signals);

void reset_sleeping_signals_after_fork();

}  // namespace ramie::host

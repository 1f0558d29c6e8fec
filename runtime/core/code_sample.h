// Where a kernel thread of this process is right now, when it is not inside of the kernel: only the
// thread itself can say, so it is asked by a signal.  For RAMIE_AUDIT and RAMIE_BLOCKED, which are
// off by default; otherwise no signal is touched.
#pragma once

#include <cstdint>

namespace ramie::core {

// The second last real-time signal.  It is taken when it is first used, unless the program has
// set an action for it: then no thread can be asked.
inline constexpr int kSampleSignal = 63;

// Before carriers begin: none of them blocks the signal.
void prepare_samples();

// Asks the thread, and waits a moment for the answer.  One caller at a time.  False if there was
// none.
[[nodiscard]] bool sample_code(int tid, uintptr_t& pc, uintptr_t& sp);

}  // namespace ramie::core

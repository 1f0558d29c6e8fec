// The observer: a kernel thread that looks at the carriers each millisecond and takes notes, for
// RAMIE_AUDIT (what has held up a carrier) and RAMIE_BLOCKED (a fiber that does not let the others
// of its thread run).  It is there only if one of them is asked for, and changes nothing: what to
// do about a carrier that is stuck is the watchdog's.
//
// It sees what lasts: a call's length is right to a millisecond or two, and calls of the same
// arguments that follow each other at once count as one.
#pragma once

#include <string_view>

namespace ramie::core {

// Starts it, if the configuration asks for it and it doesn't run.  Before the first fiber runs.
void start_observer();

// RAMIE_AUDIT's report, whole lines; empty if none is asked for.  Waits for the observer, at most
// some seconds.  Once, as the process ends.
[[nodiscard]] std::string_view audit_report();

void reset_observer_after_fork();

}  // namespace ramie::core

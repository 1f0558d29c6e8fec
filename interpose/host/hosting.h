// Hosting: glibc's own threads on fibers.  Off until the program makes its first thread.
#pragma once

#include <cstddef>

namespace ramie::host {

// Called before each thread is made: at the first, patches libc, chooses how the FS base is
// switched, starts the scheduler.  What can't be done leaves the program as it is, on kernel
// threads, and RAMIE_LOG=info says why.
void prepare_for_threads();

[[nodiscard]] bool is_hosting();

// Lines of "key value" about this process, for the ramie command; the length that they need.
int report(char* buffer, size_t size);

// Appends one line of figures to the file RAMIE_STATS, if hosting was started.
void write_stats();

// Writes RAMIE_AUDIT's report to descriptor 2.  Both as the process ends.
void write_audit();

void reset_hosting_after_fork();
void reset_clones_after_fork();  // clone.cc

}  // namespace ramie::host

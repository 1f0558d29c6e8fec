// vfork(2) and posix_spawn(3): for a while a child process runs in the memory of the calling
// thread, on its TCB, while that thread sleeps in the kernel.  The child's calls are its own
// affair: they go to the kernel as they are.
#pragma once

namespace ramie::host {

struct Thread;

// Before the child is made: the kernel gets the thread's real FS base and signal mask, which the
// child inherits.
void start_lending(Thread& thread);

// True in the child.
[[nodiscard]] bool is_borrower();

// The same, asked by who may be in a process without hosted threads.
[[nodiscard]] bool is_borrower_of_hosting();

// In the parent, at its first call after the child let go of the memory.
void stop_lending(Thread& thread);

// The process that hosts; after fork its new id.
void remember_process();

// In a fork's child, which hosts nothing yet.
void forget_process();

}  // namespace ramie::host

// Called by vfork's own assembly, before the system call.
extern "C" void ramie_start_vfork();

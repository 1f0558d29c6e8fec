// futex(2) for a process whose threads are fibers: the private operations on the parking lot, where
// fibers and kernel threads meet.
//
// | operation                        | private                  | shared                     |
// |----------------------------------|--------------------------|----------------------------|
// | WAIT, WAIT_BITSET                | parking lot              | thread memory: the lot;    |
// |                                  |                          | else the kernel, by a ring |
// |                                  |                          | or by a helper thread      |
// | WAKE, WAKE_BITSET                | parking lot              | the lot, then the kernel   |
// | REQUEUE, CMP_REQUEUE, WAKE_OP    | parking lot              | the kernel                 |
// | LOCK_PI, TRYLOCK_PI, UNLOCK_PI   | parking lot (futex_pi.h) | as WAIT and WAKE           |
// | anything else                    | the kernel               | the kernel                 |
//
// "Thread memory" is where glibc keeps its thread control blocks: pthread_join waits there, with a
// shared WAIT, for the thread id that the kernel would have cleared and that wake_address()
// announces. FUTEX_WAIT_REQUEUE_PI blocks its carrier.  So does futex_waitv(2) where not all words
// are private, and where no hosted thread calls it, which waits in the kernel: once a process has
// done so, all that wakes or moves waiters of private words looks there too.
#pragma once

namespace ramie::host {

// The six arguments of futex(2); the kernel's result or -errno.  Parks a fiber, blocks a kernel
// thread.  A wait without a time-out that a signal interrupts is sys::kRestart; one with a time-out
// is -EINTR even under SA_RESTART, as the kernel has it.  Any thread.
[[nodiscard]] long futex(const long* a);

// The system calls of Linux 6.7, on kernels before that as well.  The same rules; but a wait with a
// time-out, too, that a signal interrupts is sys::kRestart on a fiber.
[[nodiscard]] long futex_wait(const long* a);
[[nodiscard]] long futex_wake(const long* a);
[[nodiscard]] long futex_requeue(const long* a);

// Of Linux 5.16, on fibers alone: sys::kPassOn unless all words are private.
[[nodiscard]] long futex_waitv(const long* a);

// Somebody waits for private words in the kernel (futex_waitv): from now on wake-ups of private
// words go there, too, if the parking lot has too few waiters.  Before the wait.  Any thread.
void wake_in_kernel_too();

// What the kernel does at a thread's end for its clear_child_tid address, after the word was
// cleared. Any thread, and a carrier's loop.
void wake_address(void* address, int count);

}  // namespace ramie::host

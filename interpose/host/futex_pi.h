// The futex operations of priority-inheriting mutexes (man 2 futex): the kernel finds the owner by
// the thread id in the word, and it doesn't know the ids of hosted threads.  The protocol of the
// word is kept; priorities are not inherited, since fibers have none.
#pragma once

namespace ramie::host {

struct FutexCall;

long lock_pi(const FutexCall& call);
long try_lock_pi(const FutexCall& call);
long unlock_pi(const FutexCall& call);

}  // namespace ramie::host

// What fibers do when nothing else is to be done, and waiting until nothing is:
//
//     ramie::spawn([&] {
//       for (;;) {
//         ramie::sleep_in_background(10s);
//         log(count);
//       }
//     }).detach();
//     ramie::spawn([&] { while (index.is_dirty()) { ramie::idle(); index.tidy(); } }).detach();
//     serve();
//     ramie::join_all();   // until all but the first have ended
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/detail/cancel.h>
#include <ramie/detail/deadline.h>

#include <chrono>
#include <cstdint>

namespace ramie {

// Sleeps as sleep_for() does, but nobody counts on one who sleeps so: join_all() does not wait for
// it, and a program whose other fibers all wait for ever stands still (RAMIE_DEADLOCK).  Switches
// fibers; a kernel thread without fibers sleeps in the kernel.
template <class Rep, class Period>
void sleep_in_background(const std::chrono::duration<Rep, Period>& duration) {
  std::int64_t deadline = detail::deadline_after(duration);
  detail::wait_done(detail::sleep_in_background(deadline), deadline);
}

// Returns when nothing else is ready on this kernel thread: no fiber, no time that has come, no
// descriptor that somebody waits for.  Those who wait so take turns.  A loop around it keeps a
// processor busy.  Switches fibers; on a kernel thread without fibers, and in a thread under `ramie
// run`, the same as yield().
inline void idle() { detail::wait_done(detail::idle(), detail::never); }

// Waits until all other fibers of this kernel thread have ended, and all that began on carriers of
// use_carriers(), but for those that sleep in the background or are in here as well.  For the end
// of main(), which takes all fibers along.  Fibers that the library itself has started count: a
// dropped process, a timer.  Switches fibers.
inline void join_all() { detail::wait_done(detail::wait_for_rest(detail::never), detail::never); }

// The same with a limit; false if that passed first.
template <class Rep, class Period>
[[nodiscard]] bool join_all_for(const std::chrono::duration<Rep, Period>& duration) {
  std::int64_t deadline = detail::deadline_after(duration);
  return detail::wait_done(detail::wait_for_rest(deadline), deadline);
}

}  // namespace ramie

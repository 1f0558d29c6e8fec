// Descriptors that belong to Ramie: its epoll, its wake-ups, its ring, its pidfds.
//
// Programs must not notice them: descriptor numbers stay as they would be without Ramie (a program
// may rely on "the lowest free one"), so ours are moved to high numbers; and what closes
// descriptors wholesale asks is_ours() first.
#pragma once

namespace ramie::event {

// Takes over a descriptor that was just opened: moves it to a high number, sets close-on-exec and
// remembers it.  Returns the number it has now; where there is no room above, the old one.
// A negative argument (the -errno of whatever opened it) is passed on.
[[nodiscard]] int keep(long fd);

// Another number for the file of a descriptor that is not ours, with the same care.  -errno where
// there is no room above.
[[nodiscard]] int keep_copy(int fd);

// Makes the kernel's table of descriptors long enough for ours, while the process has one kernel
// thread.  Later the kernel would have to wait for a grace period (expand_files(), some 10 ms).
void make_room();

// Closes one of ours.
void discard(int fd);

// Whether the program should act as if the descriptor didn't exist.  Any thread; async-signal-safe.
[[nodiscard]] bool is_ours(int fd);

// After fork, in the child: closes its copies of all of ours.
void discard_all();

}  // namespace ramie::event

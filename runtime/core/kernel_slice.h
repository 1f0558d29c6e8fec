// How soon the kernel lets a carrier run that wakes up beside one that computes.
//
// The kernel gives each thread the processor for a slice (EEVDF), and one that wakes up meanwhile
// may have to wait for the rest of it, unless its own slice is shorter (Linux 6.12).  Natively that
// is one sleeper; here it is all those that the carrier runs.  So while a carrier is stuck
// (watchdog.h), those that are not have a short slice.  No carrier gets more of the processor by
// it.
//
// What a child of the kernel thread would inherit, and the program could read, is not for them: the
// carrier has the usual slice, and the processors that it may use, for such a call or from before
// it until its next switch.
#pragma once

#include <atomic>
#include <cstdint>

namespace ramie::core {

struct Carrier;

// A carrier's; kernel_slice.cc has the lock under which it changes.
struct KernelSlice {
  bool is_short = false;
  uint32_t as_usual = 0;     // how many need it so, see AsUsual
  uint64_t usual_until = 0;  // `switches` + 1 as it was asked to be as it was, or 0
};

// The watchdog, after each look: those of the crew that aren't stuck are to wake up at once, where
// the kernel knows of that, as long as some are, or were a moment ago.
void set_slices_of_crew(bool is_some_stuck);

// The same, when nobody will look for long.
void make_slices_usual();

// While one lives, nothing of the carrier's kernel thread is other than usual.  Any thread.
class AsUsual {
 public:
  // The calling carrier's, if it is one.
  AsUsual();
  explicit AsUsual(Carrier& carrier);
  ~AsUsual();
  AsUsual(const AsUsual&) = delete;
  AsUsual& operator=(const AsUsual&) = delete;

 private:
  Carrier* carrier_;
};

// The same until the calling carrier, if it is one, has switched: for a call whose end may be
// another process's.  Any thread, also outside of the runtime.
void keep_as_usual();

// No carrier has a short slice any more: for a process in which the calls for it may soon be
// punished.
void give_slices_up();

// That was not so after all.
void try_slices_again();

// The watchdog: changes something of the carrier's kernel thread that a child would inherit, and
// puts it back, all in `change`.  Unless the carrier is to be as usual; and who asks for that waits
// until it is over.
void change_for_a_moment(Carrier& carrier, void (*change)(Carrier& carrier, void* argument),
                         void* argument);

// The carrier's kernel thread ends, and Carrier::gone says so: nobody changes its slice any more.
void forget_slice(Carrier& carrier);

void reset_slices_after_fork();

}  // namespace ramie::core

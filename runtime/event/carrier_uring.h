// The ring of a carrier: an io_uring by which its fibers' calls are made.
//
// Each carrier that needs one has a ring of its own, which its kernel thread alone uses: so there
// is no lock, the kernel makes the completions when that thread asks for them (DEFER_TASKRUN), and
// a call is cancelled on the thread that made it.  What the fibers of one turn of the loop want is
// submitted by one entry into the kernel, which also takes what is complete, and waits if there is
// nothing else to do.  While the carrier is the one that polls, the ring waits for the poller's
// epoll as well; otherwise for the carrier's word, as a futex.
//
// A call that waits holds on to its file, as a thread does that is blocked in it.  Whoever closes
// the descriptor calls forget() before (event/reactor.h): that ends the call.  One that has not
// been submitted by then never is, so it can't meet the number's next file.
#pragma once

#include <cstdint>

#include "base/intrusive_list.h"
#include "core/carrier.h"
#include "event/descriptor_table.h"

namespace ramie::event {

// One call, on the stack of the fiber that makes it, which never leaves its carrier.
struct RingCall : base::ListLink {
  enum class Stage : uint8_t { queued, submitted, over };

  // The caller's: what io_uring_sqe(2) says of the operation, and whose waiter ends it at a close.
  uint8_t operation = 0;
  uint16_t priority = 0;
  uint32_t flags = 0;
  int fd = -1;
  uint32_t size = 0;
  uint64_t memory = 0;
  core::Ticket ticket;  // of the park under way
  DescriptorWaiter* waiter = nullptr;
  Descriptor* descriptor = nullptr;

  // The ring's.
  Stage stage = Stage::queued;
  int32_t result = 0;
  uint32_t result_flags = 0;
};

// Opens the calling carrier's ring, if that hasn't been done.  False where RAMIE_POLLER says epoll,
// or says nothing and a ring saves nothing, or the kernel has not what is needed (Linux 6.7), or
// refuses it.
[[nodiscard]] bool open_ring(core::Carrier& carrier);

// To be submitted at the end of the loop's turn; the call's ticket is unparked when it is over.
void queue_call(core::Carrier& carrier, RingCall& call);

// Asks for the end of a call that is not over.  One that was not submitted is over at once; else
// `cancellation` lives until that one's ticket is unparked.  The result is -ECANCELED or -EINTR, or
// that of a call that was faster.
void cancel_call(core::Carrier& carrier, RingCall& call, RingCall& cancellation);

// After fork, in the child, whose only carrier this is, or that has none.
void reset_rings();

}  // namespace ramie::event

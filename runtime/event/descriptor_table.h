// What the reactor knows of each descriptor: whether it is registered with the poller, which events
// nobody has taken yet, and who waits.  Inside of the reactor only (event/reactor.h).
#pragma once

#include <atomic>
#include <cstdint>

#include "base/intrusive_list.h"
#include "base/lock.h"
#include "core/ticket.h"

namespace ramie::event {

// On the stack of the fiber that waits.
struct DescriptorWaiter : base::ListLink {
  core::Ticket ticket;
  uint32_t interest = 0;  // EPOLL* bits, or kOnlyClose
  // Of a call by a ring (event/carrier_uring.h) that has an entry in it: how many entries of that
  // ring the kernel has taken, and will have taken after this one.
  const unsigned* taken = nullptr;
  unsigned taken_after = 0;
};

// That a ring has room for.
inline constexpr unsigned kMostEntries = 1024;

// Of waiters that no event wakes: the ring will tell of their calls.
inline constexpr uint32_t kOnlyClose = 1U << 31;

// What is known of the input (event/input.h): in the lower two bits of a word, whose rest counts
// the events that told of some.
//
// | from    | to      | by                                                                |
// |---------|---------|-------------------------------------------------------------------|
// | unknown | trusted | got_nothing(): a TCP socket, of which a short read takes all      |
// | unknown | mixed   | got_nothing(): anything else                                      |
// | trusted | drained | got_less(), if no event has been counted since before that read   |
// | drained | trusted | an event: there is something to read                              |
// | any     | mixed   | an event after which a short read proves nothing: the stream ends |
// |         |         | behind what was read, an error is to be reported, urgent data     |
// | any     | unknown | forget()                                                          |
//
// forget() stands for forget_again() as well.  Events and they write under the descriptor's lock,
// and count, so that a reader's compare-exchange, which needs no lock, fails if one came between.
enum class Input : uint32_t { unknown, trusted, drained, mixed };

constexpr uint32_t kInputMask = 3;
constexpr uint32_t kOneInputEvent = 4;

[[nodiscard]] constexpr Input input_of(uint32_t word) {
  return static_cast<Input>(word & kInputMask);
}
[[nodiscard]] constexpr uint32_t with_input(uint32_t word, Input input) {
  return (word & ~kInputMask) | static_cast<uint32_t>(input);
}

// Descriptor::uses: in the lower half how many calls use the descriptor, in the upper one how often
// it was forgotten.
constexpr uint64_t kOneClosing = uint64_t{1} << 32;

[[nodiscard]] constexpr uint32_t closings_of(uint64_t uses) {
  return static_cast<uint32_t>(uses >> 32);
}
[[nodiscard]] constexpr uint32_t count_of(uint64_t uses) { return static_cast<uint32_t>(uses); }

// All zeros is a descriptor that nobody has waited for.
struct Descriptor {
  base::Lock lock;
  uint32_t generation RAMIE_GUARDED_BY(lock);  // grows when the descriptor is forgotten
  uint32_t ready RAMIE_GUARDED_BY(lock);       // events that came while nobody waited for them
  bool registered RAMIE_GUARDED_BY(lock);
  std::atomic<uint64_t> uses;    // and closings: event/kept_files.h
  std::atomic<bool> holds_more;  // the last receive by a ring has left some
  std::atomic<uint32_t> input;
  bool shared RAMIE_GUARDED_BY(lock);  // more than one fiber has waited for the same direction
  const core::Fiber* reader RAMIE_GUARDED_BY(lock);  // the last one that waited for each
  const core::Fiber* writer RAMIE_GUARDED_BY(lock);
  base::IntrusiveList<DescriptorWaiter> waiters RAMIE_GUARDED_BY(lock);
};

// Before the first wait: maps the table and starts the poller.  0 or -errno.
[[nodiscard]] int start_descriptors();

// Null for a number outside of the table, and before the start.
[[nodiscard]] Descriptor* descriptor_of(int fd);

// Something is about to be learned of the descriptor: forget() has something to do.
void note_known(int fd);

// Registers with the poller, if that hasn't been done.  0 or -errno, see watch().
[[nodiscard]] long ensure_registered(Descriptor& descriptor, int fd)
    RAMIE_REQUIRES(descriptor.lock);

// Takes an event of `interest` that came while nobody waited.  Errors and hang-ups are of interest
// to everybody.
[[nodiscard]] bool take_ready(Descriptor& descriptor, uint32_t interest)
    RAMIE_REQUIRES(descriptor.lock);

// Notes that the waiter's fiber waits, and says whether the descriptor is one for which several do.
// Then one event may stand for more than its first taker takes: see reactor.h.
[[nodiscard]] bool note_user(Descriptor& descriptor, const DescriptorWaiter& waiter)
    RAMIE_REQUIRES(descriptor.lock);

// Removes the waiter if it is still on the list: only a waker's unpark has taken it off before.
void take_off(Descriptor& descriptor, DescriptorWaiter& waiter);

}  // namespace ramie::event

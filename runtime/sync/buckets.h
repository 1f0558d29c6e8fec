// The queues of the parking lot, and what the primitives do with them most often, inline: one call
// for each step of a hand-over would take longer than the step.  Inside of runtime/sync only;
// everybody else uses sync/parking_lot.h, where all of this is explained.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

#include "base/futex.h"
#include "base/intrusive_list.h"
#include "base/lock.h"
#include "core/carrier.h"
#include "core/park_here.h"
#include "event/section.h"
#include "sync/parking_lot.h"
#include "sync/waiter.h"

namespace ramie::sync {

inline constexpr unsigned kBucketBits = 12;
inline constexpr size_t kBuckets = 1UL << kBucketBits;

struct alignas(64) Bucket {
  base::Lock lock;
  base::IntrusiveList<Waiter> waiters RAMIE_GUARDED_BY(lock);
};

extern Bucket buckets[kBuckets];

[[nodiscard]] inline Bucket& bucket_of(const void* address) {
  // Fibonacci hashing.  Futex words are 4-byte aligned, so the lowest bits say nothing.
  uint64_t hash = (reinterpret_cast<uintptr_t>(address) >> 2) * 0x9e3779b97f4a7c15U;
  return buckets[hash >> (64 - kBucketBits)];
}

// Somebody to be woken, once the locks are dropped: a fiber, or whoever sleeps on the address,
// which is not to be read or written any more.
struct Sleeper {
  core::Ticket ticket;
  std::atomic<uint32_t>* word;

  [[gnu::always_inline]] void wake() const {
    if (ticket.fiber != nullptr) [[likely]] {
      (void)core::unpark_here(ticket);
    } else {
      (void)base::futex_wake(*word, 1);
    }
  }
};

// The set stays as long as the bucket's lock is held: its owner needs that to leave.
[[nodiscard]] Sleeper fire(WatchSet& set, Watch& watch);

// With the bucket of the address locked: fires its watches in front of a waiter; null means all.
void fire_watches(const void* address, const Waiter* before);

// Under the lock of the waiter's bucket.  Copies: the node is not to be touched afterwards.
[[gnu::always_inline]] inline Sleeper take_out(Waiter& waiter) {
  base::IntrusiveList<Waiter>::remove(&waiter);
  if (waiter.set != nullptr) [[unlikely]] {
    return fire(*waiter.set, *waiter.watch);
  }
  Sleeper sleeper{waiter.ticket, &waiter.word};
  if (sleeper.ticket.fiber == nullptr) [[unlikely]] {
    waiter.word.store(1, std::memory_order_release);  // pairs with block_thread()
  }
  return sleeper;
}

// As enqueue() in waiter.h.
template <class Validate>
[[gnu::always_inline]] inline bool enqueue_here(Waiter& waiter, const void* address, bool front,
                                                Validate&& validate) {
  Bucket& bucket = bucket_of(address);
  base::LockGuard guard(bucket.lock);
  if (!validate()) {
    return false;
  }
  if (front) {
    bucket.waiters.push_front(&waiter);
  } else {
    bucket.waiters.push_back(&waiter);
  }
  return true;
}

// What the waiter knows when its sleep has ended.
[[gnu::always_inline]] inline ParkResult finish(Waiter& waiter, core::Wake wake) {
  if (wake != core::Wake::unparked && withdraw(waiter)) {
    return {outcome_of(wake)};
  }
  if (wake == core::Wake::interrupted) [[unlikely]] {
    core::keep_interruption();  // somebody has woken it as well
  }
  return {Outcome::woken, waiter.token};
}

// park() on the running fiber.
template <class Validate, class BeforeSleep>
[[gnu::always_inline]] inline ParkResult park_fiber(core::Fiber& self, const void* address,
                                                    const ParkOptions& options, Validate&& validate,
                                                    BeforeSleep&& before_sleep) {
  // From the ticket to the end of the park: a handler of the program might wait itself meanwhile,
  // and that would be another ticket.
  core::RuntimeSection whole(self);
  Waiter waiter(address, options);
  waiter.ticket = core::prepare_park_here(self);
  if (!enqueue_here(waiter, address, options.front, validate)) {
    core::abandon_park();
    return {Outcome::invalid};
  }
  before_sleep();
  core::WaitReason reason = options.reason;
  if (reason.kind == core::WaitKind::none) {
    reason = {core::WaitKind::address, reinterpret_cast<uintptr_t>(address)};
  }
  return finish(waiter, core::park_here(self, reason, options.deadline, {}));
}

// park() on a kernel thread that runs no fiber.  All by value, so that its caller may keep what it
// passes in registers.
template <class Validate>
[[gnu::cold, gnu::noinline]] ParkResult park_thread(const void* address, ParkOptions options,
                                                    Validate validate) {
  return park(address, options, validate);
}

// park(), which see; without `before_sleep`.
template <class Validate>
[[gnu::always_inline]] inline ParkResult park_inline(const void* address,
                                                     const ParkOptions& options,
                                                     const Validate& validate) {
  core::Fiber* self = core::current();
  if (self == nullptr) [[unlikely]] {
    return park_thread(address, options, validate);
  }
  return park_fiber(*self, address, options, validate, [] {});
}

// unpark_one(), which see.
template <class Decide>
[[gnu::always_inline]] inline bool unpark_one_inline(const void* address, Decide&& decide) {
  event::Section section;
  Bucket& bucket = bucket_of(address);
  auto next_of_address = [&](Waiter* waiter) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
    while (waiter != nullptr && waiter->key.load(std::memory_order_relaxed) != address) {
      waiter = bucket.waiters.next(waiter);
    }
    return waiter;
  };
  Sleeper sleeper;
  {
    base::LockGuard guard(bucket.lock);
    Waiter* front = next_of_address(bucket.waiters.front());
    Waiter* first = front;
    while (first != nullptr && first->set != nullptr) {
      first = next_of_address(bucket.waiters.next(first));
    }
    if (first == nullptr) {
      (void)decide(UnparkOne{});
    } else {
      bool has_more = next_of_address(bucket.waiters.next(first)) != nullptr;
      first->token = decide(UnparkOne{true, has_more, first->wants_handoff});
    }
    if (front != first) [[unlikely]] {
      fire_watches(address, first);  // once the word says what they are to see
    }
    if (first == nullptr) {
      return false;
    }
    sleeper = take_out(*first);
  }
  sleeper.wake();
  return true;
}

}  // namespace ramie::sync

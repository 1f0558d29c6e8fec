#include "sync/parking_lot.h"

#include <atomic>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "base/futex.h"
#include "base/intrusive_list.h"
#include "base/lock.h"
#include "core/carrier.h"
#include "core/park.h"
#include "event/section.h"

namespace ramie::sync {
namespace {

constexpr unsigned kBucketBits = 12;
constexpr size_t kBuckets = 1UL << kBucketBits;

struct Waiter : base::ListLink {
  // Changed by requeue() with both buckets locked; read without a lock by the waiter that times
  // out, which then locks and looks again.
  std::atomic<const void*> key = nullptr;
  uint32_t bits = kAllBits;
  bool wants_handoff = false;
  uintptr_t token = 0;
  core::Ticket ticket;  // of a fiber; without one it is a kernel thread, and sleeps on ...
  std::atomic<uint32_t> word = 0;  // ... this: 1 means woken
  WatchSet* set = nullptr;         // of a watch, which is neither
  Watch* watch = nullptr;
};

static_assert(sizeof(Waiter) <= sizeof(WatchPlace));
static_assert(alignof(Waiter) <= alignof(WatchPlace));

struct alignas(64) Bucket {
  base::Lock lock;
  base::IntrusiveList<Waiter> waiters RAMIE_GUARDED_BY(lock);
};

constinit Bucket buckets[kBuckets];

Bucket& bucket_of(const void* address) {
  // Fibonacci hashing.  Futex words are 4-byte aligned, so the lowest bits say nothing.
  uint64_t hash = (reinterpret_cast<uintptr_t>(address) >> 2) * 0x9e3779b97f4a7c15U;
  return buckets[hash >> (64 - kBucketBits)];
}

// Locks the buckets of two addresses, which may be one, in the order of their place in memory.
class PairGuard {
 public:
  PairGuard(const void* a, const void* b) RAMIE_NO_THREAD_SAFETY_ANALYSIS : low_(&bucket_of(a)),
                                                                            high_(&bucket_of(b)) {
    if (high_ < low_) {
      std::swap(low_, high_);
    }
    low_->lock.lock();
    if (high_ != low_) {
      high_->lock.lock();
    }
  }
  ~PairGuard() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
    if (high_ != low_) {
      high_->lock.unlock();
    }
    low_->lock.unlock();
  }
  PairGuard(const PairGuard&) = delete;
  PairGuard& operator=(const PairGuard&) = delete;

 private:
  Bucket* low_;
  Bucket* high_;
};

// Waiters that were taken out and are to be woken once the locks are dropped.  It holds copies, not
// nodes.  When it is full it wakes under the lock, which is correct and merely slower.
class WakeList {
 public:
  WakeList() = default;
  WakeList(const WakeList&) = delete;
  WakeList& operator=(const WakeList&) = delete;
  ~WakeList() { wake_all(); }

  // Under the lock of the waiter's bucket.
  void take(Waiter& waiter) {
    if (size_ == kCapacity) {
      wake_all();
    }
    base::IntrusiveList<Waiter>::remove(&waiter);
    if (waiter.set != nullptr) {
      fire(*waiter.set, *waiter.watch);
      return;
    }
    entries_[size_++] = {waiter.ticket.fiber, waiter.ticket.epoch, &waiter.word};
    if (waiter.ticket.fiber == nullptr) {
      waiter.word.store(1, std::memory_order_release);  // pairs with block_thread()
    }
  }

 private:
  static constexpr unsigned kCapacity = 32;
  struct Entry {
    core::Fiber* fiber;
    uint64_t epoch;
    std::atomic<uint32_t>* word;  // an address for the kernel; not to be read or written any more
  };

  // The set stays as long as the bucket's lock is held: its owner needs that to leave.
  void fire(WatchSet& set, Watch& watch) {
    base::LockGuard guard(set.lock);
    watch.next_fired = set.fired;
    set.fired = &watch;
    core::Ticket ticket = std::exchange(set.ticket, {});
    set.word.store(1, std::memory_order_release);  // pairs with wait_fired()
    entries_[size_++] = {ticket.fiber, ticket.epoch, &set.word};
  }

  void wake_all() {
    for (unsigned i = 0; i < size_; ++i) {
      const Entry& one = entries_[i];
      if (one.fiber != nullptr) {
        (void)core::unpark({one.fiber, one.epoch});
      } else {
        (void)base::futex_wake(*one.word, 1);
      }
    }
    size_ = 0;
  }

  Entry entries_[kCapacity];  // left uninitialised: most lists hold one
  unsigned size_ = 0;
};

// Takes up to `count` waiters of `address` out of its bucket, whose lock is held.
unsigned take(const void* address, unsigned count, uint32_t bits,
              WakeList& woken) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  unsigned taken = 0;
  auto& waiters = bucket_of(address).waiters;
  for (Waiter* waiter = waiters.front(); waiter != nullptr && taken < count;) {
    Waiter* next = waiters.next(waiter);
    if (waiter->key.load(std::memory_order_relaxed) == address && (waiter->bits & bits) != 0) {
      woken.take(*waiter);
      ++taken;
    }
    waiter = next;
  }
  return taken;
}

// A waiter's own way out.  True if it was still queued; false if a waker has taken it.
bool withdraw(Waiter& waiter) {
  for (;;) {
    const void* key = waiter.key.load(std::memory_order_relaxed);
    Bucket& bucket = bucket_of(key);
    event::Section section;
    base::LockGuard guard(bucket.lock);
    if (waiter.key.load(std::memory_order_relaxed) != key) {
      continue;  // requeued before the lock was ours
    }
    if (!waiter.linked()) {
      return false;
    }
    base::IntrusiveList<Waiter>::remove(&waiter);
    return true;
  }
}

core::Wake block_thread(Waiter& waiter, base::Deadline deadline) {
  while (waiter.word.load(std::memory_order_acquire) == 0) {  // pairs with WakeList::take()
    switch (base::futex_wait(waiter.word, 0, deadline)) {
      case -ETIMEDOUT:
        return core::Wake::timed_out;
      case -EINTR:
        return core::Wake::interrupted;
      default:
        break;
    }
  }
  return core::Wake::unparked;
}

Outcome outcome_of(core::Wake wake) {
  switch (wake) {
    case core::Wake::timed_out:
      return Outcome::timed_out;
    case core::Wake::cancelled:
      return Outcome::cancelled;
    default:
      return Outcome::interrupted;
  }
}

}  // namespace

ParkResult park(const void* address, const ParkOptions& options, FunctionRef<bool()> validate,
                FunctionRef<void()> before_sleep) {
  core::Fiber* self = core::current();
  bool on_fiber = self != nullptr;
  // From the ticket to the end of the park: a handler of the program might wait itself meanwhile,
  // and that would be another ticket.  (A kernel thread sleeps with its signals let in.)
  std::optional<core::RuntimeSection> whole;
  if (on_fiber) {
    whole.emplace(*self);
  }
  Waiter waiter;
  waiter.key.store(address, std::memory_order_relaxed);
  waiter.bits = options.bits;
  waiter.wants_handoff = options.wants_handoff;
  if (on_fiber) {
    waiter.ticket = core::prepare_park();
  }
  {
    Bucket& bucket = bucket_of(address);
    std::optional<event::Section> section;
    if (!on_fiber) {
      section.emplace();
    }
    base::LockGuard guard(bucket.lock);
    if (!validate()) {
      if (on_fiber) {
        core::abandon_park();
      }
      return {Outcome::invalid};
    }
    if (options.front) {
      bucket.waiters.push_front(&waiter);
    } else {
      bucket.waiters.push_back(&waiter);
    }
  }
  if (before_sleep) {
    before_sleep();
  }

  core::WaitReason reason = options.reason;
  if (reason.kind == core::WaitKind::none) {
    reason = {core::WaitKind::address, reinterpret_cast<uintptr_t>(address)};
  }
  core::Wake wake =
      on_fiber ? core::park(reason, options.deadline) : block_thread(waiter, options.deadline);
  if (wake != core::Wake::unparked && withdraw(waiter)) {
    return {outcome_of(wake)};
  }
  return {Outcome::woken, waiter.token};
}

unsigned unpark(const void* address, unsigned count, uint32_t bits) {
  event::Section section;
  WakeList woken;  // before the guard: destroyed, and so emptied, after the lock is dropped
  base::LockGuard guard(bucket_of(address).lock);
  return take(address, count, bits, woken);
}

bool unpark_one(const void* address, FunctionRef<uintptr_t(UnparkOne)> decide) {
  event::Section section;
  WakeList woken;
  Bucket& bucket = bucket_of(address);
  base::LockGuard guard(bucket.lock);
  auto next_of_address = [&](Waiter* waiter) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
    while (waiter != nullptr && waiter->key.load(std::memory_order_relaxed) != address) {
      waiter = bucket.waiters.next(waiter);
    }
    return waiter;
  };
  Waiter* first = next_of_address(bucket.waiters.front());
  if (first == nullptr) {
    (void)decide({});
    return false;
  }
  bool has_more = next_of_address(bucket.waiters.next(first)) != nullptr;
  first->token = decide({true, has_more, first->wants_handoff});
  woken.take(*first);
  return true;
}

RequeueResult requeue(const void* from, const void* to, unsigned wake, unsigned requeue,
                      FunctionRef<bool()> validate) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  event::Section section;
  WakeList woken;
  PairGuard guard(from, to);
  if (!validate()) {
    return {};
  }
  RequeueResult result{true, take(from, wake, kAllBits, woken), 0};
  auto& source = bucket_of(from).waiters;
  for (Waiter* waiter = source.front(); waiter != nullptr && result.requeued < requeue;) {
    Waiter* next = source.next(waiter);
    if (waiter->key.load(std::memory_order_relaxed) == from) {
      ++result.requeued;
      if (from != to) {
        base::IntrusiveList<Waiter>::remove(waiter);
        waiter->key.store(to, std::memory_order_relaxed);
        bucket_of(to).waiters.push_back(waiter);
      }
    }
    waiter = next;
  }
  return result;
}

unsigned unpark_two(const void* first, unsigned first_count, const void* second,
                    unsigned second_count, FunctionRef<bool()> operation) {
  event::Section section;
  WakeList woken;
  PairGuard guard(first, second);
  bool wake_second = operation();
  unsigned count = take(first, first_count, kAllBits, woken);
  return wake_second ? count + take(second, second_count, kAllBits, woken) : count;
}

bool watch(Watch& watch, WatchSet& set, const void* address, FunctionRef<bool()> validate) {
  auto& waiter = *new (&watch.place) Waiter;
  waiter.key.store(address, std::memory_order_relaxed);
  waiter.set = &set;
  waiter.watch = &watch;
  Bucket& bucket = bucket_of(address);
  event::Section section;
  base::LockGuard guard(bucket.lock);
  if (!validate()) {
    return false;
  }
  bucket.waiters.push_back(&waiter);
  return true;
}

void unwatch(Watch& watch) { (void)withdraw(*reinterpret_cast<Waiter*>(&watch.place)); }

Watch* wait_fired(WatchSet& set, base::Deadline deadline) {
  core::Fiber* self = core::current();
  bool on_fiber = self != nullptr;
  for (;;) {
    // As in park(), and ended each time, so that a handler whose signal ended the park runs.
    std::optional<core::RuntimeSection> whole;
    if (on_fiber) {
      whole.emplace(*self);
    }
    {
      event::Section section;
      base::LockGuard guard(set.lock);
      set.ticket = {};
      if (Watch* fired = std::exchange(set.fired, nullptr)) {
        return fired;
      }
      set.word.store(0, std::memory_order_relaxed);
      if (on_fiber) {
        set.ticket = core::prepare_park();
      }
    }
    bool gave_up_waiting;
    if (on_fiber) {
      core::WaitReason reason{core::WaitKind::address, reinterpret_cast<uintptr_t>(&set)};
      core::Wake wake = core::park(reason, deadline);
      gave_up_waiting = gave_up(outcome_of(wake));
    } else {
      gave_up_waiting = base::futex_wait(set.word, 0, deadline) == -ETIMEDOUT;
    }
    if (gave_up_waiting) {
      event::Section section;
      base::LockGuard guard(set.lock);
      set.ticket = {};
      return std::exchange(set.fired, nullptr);
    }
  }
}

void reset_after_fork() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  for (Bucket& bucket : buckets) {
    // Looks before it writes: a fork should not have to copy the pages of buckets that nobody used.
    if (bucket.lock.held() || !bucket.waiters.empty()) {
      new (&bucket) Bucket;
    }
  }
}

}  // namespace ramie::sync

#include "sync/parking_lot.h"

#include <atomic>
#include <cerrno>
#include <new>
#include <optional>
#include <utility>

#include "base/futex.h"
#include "base/lock.h"
#include "core/carrier.h"
#include "event/section.h"
#include "sync/buckets.h"
#include "sync/waiter.h"

namespace ramie::sync {

// See core/switch.h.
[[gnu::visibility("hidden")]] ParkResult return_by_jump(ParkResult value) asm(
    "ramie_return_by_jump");
static_assert(sizeof(ParkResult) <= sizeof(uint64_t));

constinit Bucket buckets[kBuckets];

Sleeper fire(WatchSet& set, Watch& watch) {
  base::LockGuard guard(set.lock);
  watch.next_fired = set.fired;
  set.fired = &watch;
  core::Ticket ticket = std::exchange(set.ticket, {});
  set.word.store(1, std::memory_order_release);  // pairs with wait_fired()
  return {ticket, &set.word};
}

// Wakes under the lock, which is correct and merely slower.
void fire_watches(const void* address, const Waiter* before) RAMIE_NO_THREAD_SAFETY_ANALYSIS {
  auto& waiters = bucket_of(address).waiters;
  for (Waiter* waiter = waiters.front(); waiter != before;) {
    Waiter* next = waiters.next(waiter);
    if (waiter->key.load(std::memory_order_relaxed) == address) {
      take_out(*waiter).wake();
    }
    waiter = next;
  }
}

namespace {

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

// Waiters that were taken out.  When it is full it wakes under the lock, which is correct and
// merely slower.
class WakeList {
 public:
  WakeList() = default;
  WakeList(const WakeList&) = delete;
  WakeList& operator=(const WakeList&) = delete;
  ~WakeList() { wake_all(); }

  void take(Waiter& waiter) {
    if (size_ == kCapacity) {
      wake_all();
    }
    sleepers_[size_++] = take_out(waiter);
  }

 private:
  static constexpr unsigned kCapacity = 32;

  void wake_all() {
    for (unsigned i = 0; i < size_; ++i) {
      sleepers_[i].wake();
    }
    size_ = 0;
  }

  Sleeper sleepers_[kCapacity];  // left uninitialised: most lists hold one
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

// It sleeps with its signals let in.
[[gnu::noinline]] ParkResult park_thread(const void* address, const ParkOptions& options,
                                         FunctionRef<bool()> validate,
                                         FunctionRef<void()> before_sleep) {
  Waiter waiter(address, options);
  {
    event::Section section;
    if (!enqueue(waiter, address, options.front, validate)) {
      return {Outcome::invalid};
    }
  }
  if (before_sleep) {
    before_sleep();
  }
  return finish(waiter, block_thread(waiter, options.deadline));
}

}  // namespace

bool enqueue(Waiter& waiter, const void* address, bool front, FunctionRef<bool()> validate) {
  return enqueue_here(waiter, address, front, validate);
}

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

ParkResult park(const void* address, const ParkOptions& options, FunctionRef<bool()> validate,
                FunctionRef<void()> before_sleep) {
  core::Fiber* self = core::current();
  if (self == nullptr) {
    return park_thread(address, options, validate, before_sleep);
  }
  return return_by_jump(park_fiber(*self, address, options, validate, [&] {
    if (before_sleep) {
      before_sleep();
    }
  }));
}

unsigned unpark(const void* address, unsigned count, uint32_t bits) {
  event::Section section;
  WakeList woken;  // before the guard: destroyed, and so emptied, after the lock is dropped
  base::LockGuard guard(bucket_of(address).lock);
  return take(address, count, bits, woken);
}

bool unpark_one(const void* address, FunctionRef<uint32_t(UnparkOne)> decide) {
  return unpark_one_inline(address, decide);
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

PairResult unpark_two(const void* first, unsigned first_count, const void* second,
                      unsigned second_count, FunctionRef<bool()> operation) {
  event::Section section;
  WakeList woken;
  PairGuard guard(first, second);
  bool wake_second = operation();
  PairResult result;
  result.first = take(first, first_count, kAllBits, woken);
  result.second = wake_second ? take(second, second_count, kAllBits, woken) : 0;
  return result;
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

// A condition variable for fibers and kernel threads alike: one word and the parking lot.
//
// | word | means                                            |
// |------|--------------------------------------------------|
// | 0    | nobody waits                                     |
// | 1    | somebody may be parked                           |
//
// The word is set by waiters and cleared by a notify that leaves nobody behind, both under the
// bucket's lock, so that a notify without waiters costs one load.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/deadline.h"
#include "sync/mutex.h"

namespace ramie::sync {

class ConditionVariable {
 public:
  constexpr ConditionVariable() = default;
  ConditionVariable(const ConditionVariable&) = delete;
  ConditionVariable& operator=(const ConditionVariable&) = delete;

  // Unlocks the mutex and waits in one step; holds the mutex again on return.  Returns for any
  // reason (spurious wake-ups happen), so callers check their condition again.
  void wait(Mutex& mutex) { (void)wait_until(mutex, base::Deadline::never()); }

  // False if the deadline passed first.
  bool wait_until(Mutex& mutex, base::Deadline deadline) {
    bool woken = wait(
        word_, deadline, [](void* lock) { static_cast<Mutex*>(lock)->unlock(); }, &mutex);
    mutex.lock();
    return woken;
  }

  // Wakes one waiter, or all.  Never switches.  The mutex may be held or not.
  void notify_one() {
    if (word_.load(std::memory_order_relaxed) != 0) {
      notify_one(word_);
    }
  }
  void notify_all() {
    if (word_.load(std::memory_order_relaxed) != 0) {
      notify_all(word_);
    }
  }

  // The same on a bare word.  `unlock` runs once the caller is queued.
  static bool wait(std::atomic<uint32_t>& word, base::Deadline deadline, void (*unlock)(void*),
                   void* lock);
  static void notify_one(std::atomic<uint32_t>& word);
  static void notify_all(std::atomic<uint32_t>& word);

 private:
  std::atomic<uint32_t> word_ = 0;
};

}  // namespace ramie::sync

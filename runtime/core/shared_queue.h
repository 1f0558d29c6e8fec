// Ready fibers that any carrier may run and that are in no carrier's own queue: what kernel threads
// without fibers made ready, and what carriers leave behind; or those that go before others
// (turns.h).  Looked at once in each turn of a carrier's loop.
#pragma once

#include <atomic>
#include <cstdint>

#include "base/lock.h"
#include "core/run_queue.h"
#include "core/steal_queue.h"

namespace ramie::core {

class SharedQueue {
 public:
  // Sequentially consistent with push(): see crew.h.
  [[nodiscard]] bool empty() const { return size() == 0; }
  [[nodiscard]] uint32_t size() const { return size_.load(std::memory_order_seq_cst); }

  void push(Fiber* fiber) {
    base::LockGuard guard(lock_);
    queue_.push(fiber);
    size_.fetch_add(1, std::memory_order_seq_cst);
  }

  Fiber* pop() {
    base::LockGuard guard(lock_);
    Fiber* fiber = queue_.pop();
    if (fiber != nullptr) {
      size_.fetch_sub(1, std::memory_order_seq_cst);
    }
    return fiber;
  }

  // All of `from`, by its owner.
  void push_all(StealQueue& from) {
    base::LockGuard guard(lock_);
    while (Fiber* fiber = from.pop()) {
      queue_.push(fiber);
      size_.fetch_add(1, std::memory_order_seq_cst);
    }
  }

  // Moves up to `n` of the oldest to `to`, by its owner.  Where that is full and there is no memory
  // for it to grow, its own oldest makes room and queues up here: so none starves.
  void give_to(StealQueue& to, uint32_t n) {
    base::LockGuard guard(lock_);
    while (n-- > 0) {
      Fiber* fiber = queue_.pop();
      if (fiber == nullptr) {
        return;
      }
      while (!to.push(fiber)) {
        if (Fiber* oldest = to.pop()) {
          queue_.push(oldest);
          size_.fetch_add(1, std::memory_order_seq_cst);
        }
      }
      // Not before the fiber is in `to`: it is always to be seen in one of the two.
      size_.fetch_sub(1, std::memory_order_seq_cst);
    }
  }

  // After fork, in the child.
  void reset() RAMIE_NO_THREAD_SAFETY_ANALYSIS {
    lock_.reset();
    queue_.clear();
    size_.store(0, std::memory_order_relaxed);
  }

 private:
  base::Lock lock_;
  RunQueue queue_ RAMIE_GUARDED_BY(lock_);
  std::atomic<uint32_t> size_ = 0;
};

}  // namespace ramie::core

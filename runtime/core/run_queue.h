// The pinned fibers of one carrier that are ready to run.
//
// RunQueue belongs to its carrier alone and has no lock.  Whoever else makes a fiber of this
// carrier ready puts it into the carrier's Inbox, which the carrier empties into its queue.
// (Fibers that any carrier may run: steal_queue.h.)
#pragma once

#include <atomic>

#include "core/fiber.h"

namespace ramie::core {

// First in, first out, but for who is put in front.
class RunQueue {
 public:
  [[nodiscard]] bool empty() const { return head_ == nullptr; }

  void push(Fiber* fiber) {
    fiber->queue_next = nullptr;
    if (head_ == nullptr) {
      head_ = fiber;
    } else {
      tail_->queue_next = fiber;
    }
    tail_ = fiber;
  }

  // Before all others.
  void push_front(Fiber* fiber) {
    fiber->queue_next = head_;
    if (head_ == nullptr) {
      tail_ = fiber;
    }
    head_ = fiber;
  }

  Fiber* pop() {
    Fiber* fiber = head_;
    if (fiber != nullptr) {
      head_ = fiber->queue_next;
    }
    return fiber;
  }

  // Who is last, null if nobody.
  [[nodiscard]] Fiber* back() const { return head_ == nullptr ? nullptr : tail_; }

  // Takes out the last one if it stands right behind `before`, which is in the queue.
  Fiber* take_back(Fiber* before) {
    Fiber* last = tail_;
    if (before->queue_next != last) {
      return nullptr;
    }
    before->queue_next = nullptr;
    tail_ = before;
    return last;
  }

  // Who is next, null if nobody.
  [[nodiscard]] Fiber* front() const { return head_; }

  void clear() { head_ = nullptr; }

  [[nodiscard]] bool holds(const Fiber& wanted) const {
    const Fiber* fiber = head_;
    while (fiber != nullptr && fiber != &wanted) {
      fiber = fiber == tail_ ? nullptr : fiber->queue_next;
    }
    return fiber != nullptr;
  }

 private:
  Fiber* head_ = nullptr;
  Fiber* tail_ = nullptr;  // meaningful only while head_ is not null
};

// Many producers, one consumer: a stack that is taken whole, and turned round to be fair.
class Inbox {
 public:
  // Sequentially consistent, as push() is.
  [[nodiscard]] bool empty() const { return head_.load(std::memory_order_seq_cst) == nullptr; }

  void push(Fiber* fiber) {
    Fiber* head = head_.load(std::memory_order_relaxed);
    do {
      fiber->queue_next = head;
      // Sequentially consistent: the carrier's "I go to sleep" and this push must be seen in one
      // order by both, see scheduler.cc.
    } while (!head_.compare_exchange_weak(head, fiber, std::memory_order_seq_cst,
                                          std::memory_order_relaxed));
  }

  void drain_into(RunQueue& queue) {
    if (head_.load(std::memory_order_relaxed) == nullptr) {
      return;
    }
    Fiber* newest = head_.exchange(nullptr, std::memory_order_acquire);  // pairs with push()
    Fiber* oldest = nullptr;
    while (newest != nullptr) {
      Fiber* next = newest->queue_next;
      newest->queue_next = oldest;
      oldest = newest;
      newest = next;
    }
    while (oldest != nullptr) {
      Fiber* next = oldest->queue_next;
      queue.push(oldest);
      oldest = next;
    }
  }

  void clear() { head_.store(nullptr, std::memory_order_relaxed); }

 private:
  std::atomic<Fiber*> head_ = nullptr;
};

}  // namespace ramie::core

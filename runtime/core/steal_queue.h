// Ready fibers of one carrier that any carrier may run: a bounded ring, which its owner fills and
// empties in order, and from which others steal half.  (After the run queue of Go's scheduler,
// runtime/proc.go.)
//
// | word     | written by                       | holds                                           |
// |----------|----------------------------------|-------------------------------------------------|
// | tail_    | the owner                        | how many were ever put in                       |
// | head_    | whoever takes, compare-exchange  | how many were ever taken out                    |
// | slots_   | the owner, from head_ to tail_   | the fibers with these numbers, modulo the size  |
//
// Acquire and release: a taker's load of tail_ pairs with the owner's store, which publishes the
// slot and the fiber in it.  The owner's load of head_ pairs with a taker's compare-exchange, after
// which the slot may be written again.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/fiber.h"

namespace ramie::core {

class StealQueue {
 public:
  static constexpr uint32_t kCapacity = 256;

  // Any thread; a glance, which says nothing about the next moment.
  [[nodiscard]] uint32_t size() const {
    uint32_t tail = tail_.load(std::memory_order_acquire);
    uint32_t head = head_.load(std::memory_order_acquire);
    auto n = static_cast<int32_t>(tail - head);
    return n > 0 ? static_cast<uint32_t>(n) : 0;
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

  // The owner.  False when it is full.
  [[nodiscard]] bool push(Fiber* fiber) {
    uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) >= limit_) {
      return false;
    }
    slots_[tail % kCapacity].store(fiber, std::memory_order_relaxed);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // The owner: it is full until it is opened again, whatever is in it.
  void close() { limit_ = 0; }
  void open() { limit_ = kCapacity; }

  // The owner.  Null when it is empty.
  [[nodiscard]] Fiber* pop() {
    uint32_t tail = tail_.load(std::memory_order_relaxed);
    uint32_t head = head_.load(std::memory_order_acquire);
    while (head != tail) {
      Fiber* fiber = slots_[head % kCapacity].load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return fiber;
      }
    }
    return nullptr;
  }

  // Takes half of it, rounded up, into `thief`, whose owner calls, and which is empty.  How many.
  uint32_t give_half_to(StealQueue& thief) {
    uint32_t to = thief.tail_.load(std::memory_order_relaxed);
    uint32_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      uint32_t n = tail_.load(std::memory_order_acquire) - head;
      n -= n / 2;
      if (n == 0) {
        return 0;
      }
      // The two loads may be of different moments; then the compare-exchange would fail anyway.
      if (n > kCapacity / 2) {
        head = head_.load(std::memory_order_acquire);
        continue;
      }
      for (uint32_t i = 0; i < n; ++i) {
        Fiber* fiber = slots_[(head + i) % kCapacity].load(std::memory_order_relaxed);
        thief.slots_[(to + i) % kCapacity].store(fiber, std::memory_order_relaxed);
      }
      if (head_.compare_exchange_weak(head, head + n, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        thief.tail_.store(to + n, std::memory_order_release);
        return n;
      }
    }
  }

  // After fork, in the child.
  void clear() { head_.store(tail_.load(std::memory_order_relaxed), std::memory_order_relaxed); }

 private:
  alignas(64) std::atomic<uint32_t> head_ = 0;
  alignas(64) std::atomic<uint32_t> tail_ = 0;
  uint32_t limit_ = kCapacity;
  std::atomic<Fiber*> slots_[kCapacity] = {};
};

}  // namespace ramie::core

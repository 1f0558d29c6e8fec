// Ready fibers of one carrier that any carrier may run: a ring, which its owner fills and empties
// in order, and from which others steal half.  (After the run queue of Go's scheduler,
// runtime/proc.go.)
//
// A full ring is replaced by one of twice the size, so that the order holds however many are ready:
// events of thousands of connections come at once, and who is put aside waits for many turns.
//
// | word     | written by                       | holds                                           |
// |----------|----------------------------------|-------------------------------------------------|
// | tail_    | the owner                        | how many were ever put in                       |
// | head_    | whoever takes, compare-exchange  | how many were ever taken out                    |
// | ring_    | the owner                        | the ring in use; never freed                    |
// | slots    | the owner, from head_ to tail_   | the fibers with these numbers, modulo the size  |
//
// Acquire and release: a taker's load of tail_ pairs with the owner's store, which publishes the
// slot, the fiber in it and the ring.  The owner's load of head_ pairs with a taker's
// compare-exchange, after which the slot may be written again.  A taker that still has a ring which
// was replaced finds there what it would find in the new one, for nobody writes to it any more; and
// what was taken before a ring began isn't in it, but then the taker's compare-exchange fails.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>

#include "core/fiber.h"

namespace ramie::core {

class StealQueue {
 public:
  static constexpr uint32_t kCapacity = 256;  // at first
  static constexpr uint32_t kMostCapacity = 1U << 24;
  static constexpr uint32_t kMostStolen = 128;  // at a time

  // Any thread; a glance, which says nothing about the next moment.
  [[nodiscard]] uint32_t size() const {
    uint32_t tail = tail_.load(std::memory_order_acquire);
    uint32_t head = head_.load(std::memory_order_acquire);
    auto n = static_cast<int32_t>(tail - head);
    return n > 0 ? static_cast<uint32_t>(n) : 0;
  }
  [[nodiscard]] bool empty() const { return size() == 0; }

  // The owner.  False when it is closed, or full and there is no memory.
  [[nodiscard]] bool push(Fiber* fiber) {
    uint32_t tail = tail_.load(std::memory_order_relaxed);
    if (tail - head_.load(std::memory_order_acquire) >= limit_ && !grow()) [[unlikely]] {
      return false;
    }
    ring_.load(std::memory_order_relaxed)->slot(tail).store(fiber, std::memory_order_relaxed);
    tail_.store(tail + 1, std::memory_order_release);
    return true;
  }

  // The owner: it is full until it is opened again, whatever is in it.
  void close() { limit_ = 0; }
  void open() { limit_ = ring_.load(std::memory_order_relaxed)->capacity(); }

  // The owner.  Null when it is empty.
  [[nodiscard]] Fiber* pop() {
    uint32_t tail = tail_.load(std::memory_order_relaxed);
    uint32_t head = head_.load(std::memory_order_acquire);
    while (head != tail) {
      Ring& ring = *ring_.load(std::memory_order_relaxed);
      Fiber* fiber = ring.slot(head).load(std::memory_order_relaxed);
      if (head_.compare_exchange_weak(head, head + 1, std::memory_order_acq_rel,
                                      std::memory_order_acquire)) {
        return fiber;
      }
    }
    return nullptr;
  }

  // The owner.  Who is next, or with 1 the one after; null where there is none.  Others may take
  // it.
  [[nodiscard, gnu::always_inline]] const Fiber* glance(uint32_t further) const {
    uint32_t number = head_.load(std::memory_order_relaxed) + further;
    auto rest = static_cast<int32_t>(tail_.load(std::memory_order_relaxed) - number);
    return rest > 0
               ? ring_.load(std::memory_order_relaxed)->slot(number).load(std::memory_order_relaxed)
               : nullptr;
  }

  // Takes half of it, rounded up, or as many as may be stolen, into `thief`, whose owner calls, and
  // which is empty.  How many.
  uint32_t give_half_to(StealQueue& thief) {
    Ring& to_ring = *thief.ring_.load(std::memory_order_relaxed);
    uint32_t to = thief.tail_.load(std::memory_order_relaxed);
    uint32_t head = head_.load(std::memory_order_acquire);
    for (;;) {
      // The two numbers may be of different moments; then the compare-exchange fails.
      uint32_t n = tail_.load(std::memory_order_acquire) - head;
      n = std::min(n - n / 2, kMostStolen);
      if (n == 0) {
        return 0;
      }
      // Acquire pairs with grow().
      Ring& ring = *ring_.load(std::memory_order_acquire);
      for (uint32_t i = 0; i < n; ++i) {
        to_ring.slot(to + i).store(ring.slot(head + i).load(std::memory_order_relaxed),
                                   std::memory_order_relaxed);
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
  // Its slots lie behind it.
  struct alignas(std::atomic<Fiber*>) Ring {
    uint32_t mask;

    [[nodiscard]] uint32_t capacity() const { return mask + 1; }
    [[nodiscard]] std::atomic<Fiber*>& slot(uint32_t number) {
      return reinterpret_cast<std::atomic<Fiber*>*>(this + 1)[number & mask];
    }
  };
  struct FirstRing {
    Ring ring = {kCapacity - 1};
    std::atomic<Fiber*> slots[kCapacity] = {};
  };

  // The owner, of a queue that seems full.  False if it stays so.
  bool grow();

  FirstRing first_;
  alignas(64) std::atomic<uint32_t> head_ = 0;
  alignas(64) std::atomic<uint32_t> tail_ = 0;
  uint32_t limit_ = kCapacity;
  std::atomic<Ring*> ring_ = &first_.ring;
};

}  // namespace ramie::core

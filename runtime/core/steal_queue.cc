#include "core/steal_queue.h"

#include <sys/mman.h>

#include "base/sys.h"

namespace ramie::core {

bool StealQueue::grow() {
  Ring& old = *ring_.load(std::memory_order_relaxed);
  uint32_t capacity = 2 * old.capacity();
  if (limit_ == 0 || capacity > kMostCapacity) {
    return false;
  }
  long size = static_cast<long>(sizeof(Ring) + capacity * sizeof(std::atomic<Fiber*>));
  long memory =
      sys::call(SYS_mmap, 0, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (sys::failed(memory)) {
    return false;
  }
  auto* ring = reinterpret_cast<Ring*>(memory);
  ring->mask = capacity - 1;
  uint32_t tail = tail_.load(std::memory_order_relaxed);
  for (uint32_t i = head_.load(std::memory_order_acquire); i != tail; ++i) {
    ring->slot(i).store(old.slot(i).load(std::memory_order_relaxed), std::memory_order_relaxed);
  }
  ring_.store(ring, std::memory_order_release);  // pairs with give_half_to()
  limit_ = capacity;
  return true;
}

}  // namespace ramie::core

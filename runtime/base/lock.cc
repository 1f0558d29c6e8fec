#include "base/lock.h"

namespace ramie::base {

void Lock::lock_slowly() {
  constexpr int kSpins = 100;
  for (int i = 0; i < kSpins; ++i) {
    uint32_t free = 0;
    if (word_.load(std::memory_order_relaxed) == 0 &&
        word_.compare_exchange_weak(free, 1, std::memory_order_acquire,
                                    std::memory_order_relaxed)) {
      return;
    }
    __builtin_ia32_pause();
  }
  // From here on the word says 2, also when this thread gets the lock: others may have gone to
  // sleep in the meantime, and the wake-up that unlock() then makes is at worst superfluous.
  while (word_.exchange(2, std::memory_order_acquire) != 0) {
    futex_wait(word_, 2);
  }
}

}  // namespace ramie::base

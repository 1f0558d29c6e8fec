// What a program wants done about a signal, for a handler that must not wait: version n is in
// place n % 2, and the next one is written to the other place before `version` says so.
#pragma once

#include <atomic>
#include <cstdint>

#include "core/signal_frame.h"

namespace ramie::core {

class ProgramAction {
 public:
  // Any thread; async-signal-safe.
  [[nodiscard]] SignalAction load() const {
    for (;;) {
      unsigned version = version_.load(std::memory_order_acquire);  // pairs with store()
      const Words& words = places_[version % 2];
      SignalAction action{words.handler.load(std::memory_order_relaxed),
                          words.flags.load(std::memory_order_relaxed),
                          words.restorer.load(std::memory_order_relaxed),
                          words.mask.load(std::memory_order_relaxed)};
      // Pairs with the other fence: who has read a word of the version after the next sees here
      // that the next one is there.
      std::atomic_thread_fence(std::memory_order_acquire);
      if (version_.load(std::memory_order_relaxed) == version) {
        return action;
      }
    }
  }

  // One writer at a time.
  void store(const SignalAction& action) {
    unsigned next = version_.load(std::memory_order_relaxed) + 1;
    Words& words = places_[next % 2];
    std::atomic_thread_fence(std::memory_order_release);
    words.handler.store(action.handler, std::memory_order_relaxed);
    words.flags.store(action.flags, std::memory_order_relaxed);
    words.restorer.store(action.restorer, std::memory_order_relaxed);
    words.mask.store(action.mask, std::memory_order_relaxed);
    version_.store(next, std::memory_order_release);
  }

 private:
  struct Words {
    std::atomic<uintptr_t> handler = 0;
    std::atomic<unsigned long> flags = 0;
    std::atomic<uintptr_t> restorer = 0;
    std::atomic<uint64_t> mask = 0;
  };

  Words places_[2];
  std::atomic<unsigned> version_ = 0;
};

}  // namespace ramie::core

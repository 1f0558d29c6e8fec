// The three masks of a signal (signal_state.h) and who keeps them in step.  Between the files of
// signals only.
#pragma once

#include <signal.h>

#include <cstdint>

#include "base/sys.h"
#include "core/carrier.h"
#include "core/fault.h"
#include "core/signal_frame.h"

namespace ramie::host {

inline constexpr int kSignals = 64;
inline constexpr uint64_t kAllSignals =
    ~0UL & ~core::signal_bit(SIGKILL) & ~core::signal_bit(SIGSTOP);

// The part of `mask` that the kernel may be made to block.
inline uint64_t blockable(uint64_t mask) { return core::fault::blockable(mask & kAllSignals); }

// On a kernel thread: no handler runs there, so the fiber stays there.
class AllBlocked {
 public:
  AllBlocked() {
    uint64_t all = blockable(kAllSignals);
    (void)sys::call(SYS_rt_sigprocmask, SIG_BLOCK, sys::arg(&all), sys::arg(&before_), sizeof all);
  }
  ~AllBlocked() {
    (void)sys::call(SYS_rt_sigprocmask, SIG_SETMASK, sys::arg(&before_), 0, sizeof before_);
  }
  AllBlocked(const AllBlocked&) = delete;
  AllBlocked& operator=(const AllBlocked&) = delete;

 private:
  uint64_t before_ = 0;
};

// In a handler of ours, which has interrupted the program's code with all signals blocked: what is
// called meanwhile may wake others, as inside the runtime.
class WithinRuntime {
 public:
  explicit WithinRuntime(core::Fiber& fiber) : fiber_(fiber) { set_depth(fiber_, 1); }
  ~WithinRuntime() { set_depth(fiber_, 0); }
  WithinRuntime(const WithinRuntime&) = delete;
  WithinRuntime& operator=(const WithinRuntime&) = delete;

  static void set_depth(core::Fiber& fiber, uint32_t depth) {
    std::atomic_signal_fence(std::memory_order_seq_cst);  // pairs with the handler on this thread
    fiber.runtime_depth.store(depth, std::memory_order_relaxed);
    std::atomic_signal_fence(std::memory_order_seq_cst);
  }

 private:
  core::Fiber& fiber_;
};

long set_kernel_mask(core::Carrier& carrier, uint64_t mask);

// Real-time signals that the kernel keeps until the thread that was asked to take them lets them
// in.
[[nodiscard]] uint64_t signals_kept_back();

// The runtime's questions (core::SignalHooks).
[[nodiscard]] const core::SignalHooks& mask_hooks();

void reset_masks_after_fork();

}  // namespace ramie::host

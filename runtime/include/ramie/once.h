// once_flag and call_once: something is done once, and whoever comes meanwhile waits for it.  By
// the names and the rules of the standard.
#pragma once

#include <ramie/detail/park.h>

#include <atomic>
#include <cstdint>
#include <functional>
#include <utility>

namespace ramie {

class once_flag;
template <class F, class... Args>
void call_once(once_flag& flag, F&& f, Args&&... args);

// May be constinit; 4 bytes.
//
// | word    | means                                    |
// |---------|------------------------------------------|
// | fresh   | nobody has begun, or who did has thrown  |
// | running | somebody is at it                        |
// | awaited | and somebody may be parked               |
// | done    | for good                                 |
class once_flag {
 public:
  constexpr once_flag() noexcept = default;
  once_flag(const once_flag&) = delete;
  once_flag& operator=(const once_flag&) = delete;

 private:
  template <class F, class... Args>
  friend void call_once(once_flag& flag, F&& f, Args&&... args);

  enum : std::uint32_t { fresh, running, awaited, done };

  [[nodiscard]] bool is_done() const noexcept {
    return word_.load(std::memory_order_acquire) == done;  // pairs with finish()
  }

  // True if the caller is to do it, false if it is done.
  [[nodiscard]] bool begin() {
    for (;;) {
      std::uint32_t seen = fresh;
      if (word_.compare_exchange_strong(seen, running, std::memory_order_acquire,
                                        std::memory_order_acquire)) {
        return true;
      }
      if (seen == done) {
        return false;
      }
      if (seen == awaited || word_.compare_exchange_strong(seen, awaited, std::memory_order_relaxed,
                                                           std::memory_order_relaxed)) {
        (void)detail::wait_on(word_, awaited, detail::never);
      }
    }
  }

  void finish(std::uint32_t state) noexcept {
    // Release pairs with is_done() and begin().
    if (word_.exchange(state, std::memory_order_release) == awaited) {
      detail::unpark_on(&word_, detail::everybody);
    }
  }

  detail::word word_ = fresh;
};

// Calls f(args...) unless that was done under this flag before.  If it throws, the exception goes
// to the caller, and the next one tries.  Switches fibers while another is at it.
template <class F, class... Args>
void call_once(once_flag& flag, F&& f, Args&&... args) {
  if (flag.is_done() || !flag.begin()) {
    return;
  }
  struct ending {
    once_flag& flag;
    std::uint32_t state = once_flag::fresh;
    ~ending() { flag.finish(state); }
  } end{flag};
  std::invoke(std::forward<F>(f), std::forward<Args>(args)...);
  end.state = once_flag::done;
}

}  // namespace ramie

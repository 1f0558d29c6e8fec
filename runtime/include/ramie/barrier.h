// A barrier: a number of participants meet there, phase after phase.  By the name and the rules of
// the standard.
#pragma once

#include <ramie/detail/park.h>

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <utility>

namespace ramie {

namespace detail {
struct no_completion {
  void operator()() const noexcept {}
};
}  // namespace detail

// The last who arrives runs the completion function, and then everybody goes on into the next
// phase. The completion must not throw; it may switch fibers.  May be destroyed once all waits have
// returned.
template <class Completion = detail::no_completion>
class barrier {
 public:
  // What arrive() returns: the phase in which the caller arrived.
  class [[nodiscard]] arrival_token {
   public:
    arrival_token(arrival_token&&) noexcept = default;
    arrival_token& operator=(arrival_token&&) noexcept = default;

   private:
    friend class barrier;
    explicit arrival_token(std::uint32_t phase) noexcept : phase_(phase) {}
    std::uint32_t phase_;
  };

  // The most participants there can be.
  [[nodiscard]] static constexpr std::ptrdiff_t max() noexcept {
    return std::numeric_limits<std::int32_t>::max();
  }

  // `participants` between 0 and max().
  constexpr explicit barrier(std::ptrdiff_t participants, Completion completion = Completion())
      : participants_(static_cast<std::uint32_t>(participants)),
        missing_(participants_.load(std::memory_order_relaxed)),
        completion_(std::move(completion)) {}
  barrier(const barrier&) = delete;
  barrier& operator=(const barrier&) = delete;

  // Arrives for `update` participants, of whom that many must be missing.  Only the completion
  // function may switch fibers.
  arrival_token arrive(std::ptrdiff_t update = 1) {
    // Read before arriving: the phase can't end without this arrival.
    arrival_token token(phase_.load(std::memory_order_relaxed));
    auto by = static_cast<std::uint32_t>(update);
    // Release: what came before the arrival; acquire: the last one has all of that.
    if (missing_.fetch_sub(by, std::memory_order_acq_rel) == by) {
      completion_();
      missing_.store(participants_.load(std::memory_order_relaxed), std::memory_order_relaxed);
      // Release pairs with wait().  Afterwards the barrier may be gone.
      const void* address = &phase_;
      phase_.fetch_add(1, std::memory_order_release);
      detail::unpark_on(address, detail::everybody);
    }
    return token;
  }

  // Waits until the token's phase is over.  Switches fibers if it isn't.
  void wait(arrival_token&& token) const {
    while (phase_.load(std::memory_order_acquire) == token.phase_) {
      (void)detail::wait_on(phase_, token.phase_, detail::never);
    }
  }

  // Arrives, and waits until the phase is over.  Switches fibers unless the caller is the last.
  void arrive_and_wait() { wait(arrive()); }

  // Arrives, and leaves: the later phases have one participant less.
  void arrive_and_drop() {
    participants_.fetch_sub(1, std::memory_order_relaxed);
    (void)arrive();
  }

 private:
  detail::word phase_ = 0;  // waiters park on it
  detail::word participants_;
  detail::word missing_;  // in this phase
  [[no_unique_address]] Completion completion_;
};

}  // namespace ramie

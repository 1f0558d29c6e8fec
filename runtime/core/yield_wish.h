// A wish that the fiber which runs on a carrier yield at the end of its next call on a descriptor
// (interpose/host/give_way.h), for its calls never have to wait.  Either of two may have it:
//
//   - the watchdog, of a fiber that has run for long while others wait somewhere;
//   - the carrier itself, of one that has made many others ready.  Natively those run at once, on
//     other processors or in its place.  Else a listener that hands one connection after another to
//     a thread that waits for some finds none any more, before the first has served a request.
//
// The last wish counts.  The carrier's comes again while the turn goes on, and so does the
// watchdog's.
#pragma once

#include <atomic>
#include <cstdint>

namespace ramie::core {

class YieldWish {
 public:
  enum class Why : uint8_t { none, runs_long, readies_many };

  // The watchdog; a turn is known by the number of the carrier's switches.
  void ask(uint64_t turn) { make(turn, Why::runs_long); }

  // The carrier: in this turn it has made one more ready, new or woken, that others might run, too.
  void count_readied(uint64_t turn) {
    constexpr uint32_t kMany = 8;
    if (turn != turn_) {
      turn_ = turn;
      readied_ = 0;
    }
    if (++readied_ % kMany == 0) {
      make(turn, Why::readies_many);
    }
  }

  [[nodiscard]] bool is_there() const { return wish_.load(std::memory_order_relaxed) != 0; }

  // The carrier: none if the one who was meant has switched.
  [[nodiscard]] Why take(uint64_t turn) {
    uint64_t wish = wish_.exchange(0, std::memory_order_relaxed);
    return wish / kReasons == turn + 1 ? static_cast<Why>(wish % kReasons) : Why::none;
  }

 private:
  static constexpr uint64_t kReasons = 4;

  void make(uint64_t turn, Why why) {
    wish_.store((turn + 1) * kReasons + static_cast<uint64_t>(why), std::memory_order_relaxed);
  }

  std::atomic<uint64_t> wish_ = 0;  // see make(); 0: none
  uint64_t turn_ = 0;
  uint32_t readied_ = 0;  // in that turn
};

}  // namespace ramie::core

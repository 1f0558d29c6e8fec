// Fibers that held up the others a moment ago: one that computes, and waits for a lock now and
// then, would count as harmless again after each wait, until it had computed for a slice once more.
//
// Such a one has its turn after all others: before it runs, its carrier looks for timers and
// events, and those whom they made ready go first, as the kernel lets a thread that has slept go
// before one that has not.  It is put off for a part of a slice at most.
#pragma once

#include <atomic>
#include <cstddef>
#include <cstdint>

namespace ramie::core {

struct Carrier;
struct Fiber;

// The watchdog writes, carriers read.  Addresses are compared only, never followed: a fiber at that
// of one that has ended counts as that one until it is forgotten.  Of two that fall on the same
// place, the later one is remembered.
class Hogs {
 public:
  void note(const Fiber* fiber, int64_t now) {
    Place& place = places_[place_of(fiber)];
    place.fiber.store(fiber, std::memory_order_relaxed);
    place.seen.store(now, std::memory_order_relaxed);
    expect(now);
    last_seen_ = now;
    any_.store(true, std::memory_order_relaxed);
  }

  // If it is one, it stays one.
  void keep(const Fiber* fiber, int64_t now) {
    if (is_one(fiber, now)) {
      places_[place_of(fiber)].seen.store(now, std::memory_order_relaxed);
      last_seen_ = now;
    }
  }

  // One has come back.
  void expect(int64_t now) { last_ = now; }

  // Now and then, so that carriers need not ask.
  void forget(int64_t now) {
    if (any() && now - last_seen_ >= kMemory) {
      any_.store(false, std::memory_order_relaxed);
    }
  }

  [[nodiscard]] bool any() const { return any_.load(std::memory_order_relaxed); }

  [[nodiscard]] bool is_one(const Fiber* fiber, int64_t now) const {
    const Place& place = places_[place_of(fiber)];
    return place.fiber.load(std::memory_order_relaxed) == fiber &&
           now - place.seen.load(std::memory_order_relaxed) < kMemory;
  }

  // Whether one may be stuck again at any moment.
  [[nodiscard]] bool may_return(int64_t now) const { return now - last_ < kExpected; }

 private:
  static constexpr int64_t kMemory = 1'000'000'000;
  static constexpr int64_t kExpected = 20'000'000;
  static constexpr size_t kPlaces = 64;

  struct Place {
    std::atomic<const Fiber*> fiber = nullptr;
    std::atomic<int64_t> seen = 0;
  };

  // Control blocks lie at the same distance from each other, a power of two.
  static size_t place_of(const Fiber* fiber) {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
    return reinterpret_cast<uintptr_t>(fiber) * kGolden >> 58;
  }

  Place places_[kPlaces] = {};
  int64_t last_ = -kExpected;
  int64_t last_seen_ = 0;
  std::atomic<bool> any_ = false;
};

extern Hogs hogs;

// A carrier's own.
struct Deferral {
  Fiber* fiber = nullptr;      // whom it puts off; in no queue, until the loop has its turn
  uint64_t turn = UINT64_MAX;  // Carrier::switches: it has looked, and nobody ran since
  int64_t since = 0;  // when it first put one off, and has let none run since; 0: it has not
};

// `fiber` was to be next on the calling carrier.  True if it is put off: then the loop must be
// next.
[[nodiscard]] bool put_off(Carrier& carrier, Fiber& fiber);

// The loop has looked for timers and events: who was put off goes behind all others.
void end_deferral(Carrier& carrier);

}  // namespace ramie::core

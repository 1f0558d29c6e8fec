// Fibers that held up the others a moment ago: one that computes, and waits for a lock now and
// then, would count as harmless again after each wait, until it had computed for a slice once more.
#pragma once

#include <cstddef>
#include <cstdint>

namespace ramie::core {

struct Fiber;

// The watchdog's own.  Addresses are compared only, never followed: a fiber at that of one that has
// ended counts as that one until it is forgotten.  Of two that fall on the same place, the later
// one is remembered.
class Hogs {
 public:
  void note(const Fiber* fiber, int64_t now) {
    places_[place_of(fiber)] = {fiber, now};
    expect(now);
  }

  // If it is one, it stays one.
  void keep(const Fiber* fiber, int64_t now) {
    if (is_one(fiber, now)) {
      places_[place_of(fiber)].seen = now;
    }
  }

  // One has come back.
  void expect(int64_t now) { last_ = now; }

  [[nodiscard]] bool is_one(const Fiber* fiber, int64_t now) const {
    const Place& place = places_[place_of(fiber)];
    return place.fiber == fiber && now - place.seen < kMemory;
  }

  // Whether one may be stuck again at any moment.
  [[nodiscard]] bool may_return(int64_t now) const { return now - last_ < kExpected; }

 private:
  static constexpr int64_t kMemory = 1'000'000'000;
  static constexpr int64_t kExpected = 20'000'000;
  static constexpr size_t kPlaces = 64;

  struct Place {
    const Fiber* fiber = nullptr;
    int64_t seen = 0;
  };

  // Control blocks lie at the same distance from each other, a power of two.
  static size_t place_of(const Fiber* fiber) {
    constexpr uint64_t kGolden = 0x9e3779b97f4a7c15;
    return reinterpret_cast<uintptr_t>(fiber) * kGolden >> 58;
  }

  Place places_[kPlaces] = {};
  int64_t last_ = -kExpected;
};

}  // namespace ramie::core

#include "core/spread.h"

#include <algorithm>
#include <cstring>

#include "base/processors.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/crew.h"
#include "core/loop.h"

namespace ramie::core {
namespace {

using Sight = Spread::Sight;

// A mask of processors as the kernel has it (man 2 sched_setaffinity).
struct Processors {
  static constexpr uint32_t kMost = 1024;
  uint64_t words[kMost / 64] = {};

  void remove(uint32_t processor) {
    if (processor < kMost) {
      words[processor / 64] &= ~(uint64_t{1} << processor % 64);
    }
  }
  [[nodiscard]] bool is_empty() const {
    return std::all_of(std::begin(words), std::end(words), [](uint64_t word) { return word == 0; });
  }
  bool operator==(const Processors&) const = default;

  // Of the calling kernel thread.
  [[nodiscard]] bool get() {
    return sys::call(SYS_sched_getaffinity, 0, sizeof words, sys::arg(words)) > 0;
  }
  [[nodiscard]] bool set() const {
    return sys::call(SYS_sched_setaffinity, 0, sizeof words, sys::arg(words)) == 0;
  }
};

bool is_awake(const Carrier& carrier) {
  uint32_t how = carrier.sleeping.load(std::memory_order_relaxed);
  return (how == kAwake || how == kSummoned) && !carrier.gone.load(std::memory_order_relaxed);
}

template <class Function>
void for_each_neighbour(const Carrier& self, Function function) {
  for (Carrier* other = carriers_of_crew(); other != nullptr; other = other->next_in_crew) {
    if (other != &self && is_awake(*other)) {
      function(other->spread.place.load(std::memory_order_relaxed));
    }
  }
}

// To a processor on which no other carrier is; the mask is the same afterwards.  Only the carrier
// itself asks the kernel for it (tid_in_crew()), so no thread of the program sees it change.
void go_away(const Carrier& carrier, uint32_t processor) RAMIE_REQUIRES(moving) {
  Processors before;
  if (carrier.role.load(std::memory_order_relaxed) != Role::crew || is_filtered() ||
      !before.get()) {
    return;
  }
  Processors free = before;
  free.remove(processor);
  for_each_neighbour(carrier, [&](uint64_t place) { free.remove(Spread::processor_of(place)); });
  if (free.is_empty() || !free.set()) {
    return;
  }
  // All, if that is the same: a mask that was once set would not grow with the cpuset.
  Processors all;
  memset(all.words, -1, sizeof all.words);
  Processors after;
  if (!all.set() || !after.get() || after != before) {
    (void)before.set();
  }
}

}  // namespace

constinit base::Lock moving;

void look_at_neighbours(Carrier& carrier) {
  Spread& notes = carrier.spread;
  notes.next_look = carrier.now + Spread::kInterval;
  int found = base::this_processor();
  if (found < 0) {
    return;
  }
  auto processor = static_cast<uint32_t>(found);
  uint64_t place = Spread::pack(carrier.now, processor);
  notes.place.store(place, std::memory_order_relaxed);
  Sight best = Sight::nothing;
  for_each_neighbour(carrier,
                     [&](uint64_t other) { best = std::max(best, notes.see(other, processor)); });
  notes.last = place;
  if (notes.judge(best)) {
    notes.met = 0;
    notes.next_look = carrier.now + Spread::kStay;
    if (moving.try_lock()) {
      go_away(carrier, processor);
      moving.unlock();
    }
  }
}

}  // namespace ramie::core

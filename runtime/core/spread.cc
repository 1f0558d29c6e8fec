#include "core/spread.h"

#include <algorithm>
#include <bit>
#include <cstring>
#include <iterator>

#include "base/processors.h"
#include "base/sys.h"
#include "core/carrier.h"
#include "core/crew.h"
#include "core/kernel_slice.h"
#include "core/loop.h"
#include "core/thread_activity.h"
#include "core/thread_state.h"

namespace ramie::core {
namespace {

using Sight = Spread::Sight;

// A mask of processors as the kernel has it (man 2 sched_setaffinity).
struct Processors {
  static constexpr uint32_t kMost = 1024;
  uint64_t words[kMost / 64] = {};

  void add(uint32_t processor) {
    if (processor < kMost) {
      words[processor / 64] |= uint64_t{1} << processor % 64;
    }
  }
  [[nodiscard]] uint32_t count() const {
    uint32_t sum = 0;
    for (uint64_t word : words) {
      sum += static_cast<uint32_t>(std::popcount(word));
    }
    return sum;
  }
  [[nodiscard]] Processors without(const Processors& others) const {
    Processors rest = *this;
    for (size_t i = 0; i < std::size(words); ++i) {
      rest.words[i] &= ~others.words[i];
    }
    return rest;
  }
  bool operator==(const Processors&) const = default;

  // Of a kernel thread; 0 is the calling one.
  [[nodiscard]] bool get(int tid) {
    return sys::call(SYS_sched_getaffinity, tid, sizeof words, sys::arg(words)) > 0;
  }
  [[nodiscard]] bool set(int tid) const {
    return sys::call(SYS_sched_setaffinity, tid, sizeof words, sys::arg(words)) == 0;
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

// A kernel thread, 0 is the calling one, goes to another processor than these, if it may use one;
// its mask is the same afterwards.  False: it may not.
bool leave(int tid, const Processors& taken) {
  Processors before;
  if (is_filtered() || !before.get(tid)) {
    return false;
  }
  Processors free = before.without(taken);
  if (free.count() == 0 || !free.set(tid)) {
    return false;
  }
  // All, if that is the same: a mask that was once set would not grow with the cpuset.
  Processors all;
  memset(all.words, -1, sizeof all.words);
  Processors after;
  if (!all.set(tid) || !after.get(tid) || after != before) {
    (void)before.set(tid);
  }
  return true;
}

// To a processor on which no other carrier is.  The carrier itself asks the kernel for it
// (tid_in_crew()), so no thread of the program sees its mask change.
void go_away(const Carrier& carrier, uint32_t processor) RAMIE_REQUIRES(moving) {
  if (carrier.role.load(std::memory_order_relaxed) != Role::crew) {
    return;
  }
  Processors taken;
  taken.add(processor);
  for_each_neighbour(carrier, [&](uint64_t place) { taken.add(Spread::processor_of(place)); });
  (void)leave(0, taken);
}

// One that is stuck and computes, as the watchdog sees it.
struct Stuck {
  Carrier* carrier;
  bool lacks_time;  // has had less than three quarters of a processor since the last look
  int processor;    // -1: sleeps
};

constexpr uint32_t kMostStuck = 16;  // that are looked at
constinit Patience patience;         // the watchdog's own

bool share_one(const Stuck& one, const Stuck& other) {
  return one.lacks_time && other.lacks_time && one.processor >= 0 &&
         one.processor == other.processor;
}

// To a processor on which none of these is.
bool move(Carrier& carrier, const Processors& taken) RAMIE_REQUIRES(moving) {
  struct {
    const Processors& taken;
    bool is_done;
  } wanted = {taken, false};
  auto change = [](Carrier& which, void* argument) {
    auto& asked = *static_cast<decltype(wanted)*>(argument);
    asked.is_done = leave(which.kernel_tid, asked.taken);
  };
  change_for_a_moment(carrier, change, &wanted);
  return wanted.is_done;
}

// Whichever of a pair may be moved, to a processor that is not taken.
enum class Parting : uint8_t { none, failed, done };
Parting part_a_pair(const Stuck* stuck, uint32_t count, const Processors& taken, bool has_room)
    RAMIE_REQUIRES(moving) {
  Parting result = Parting::none;
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = i + 1; j < count; ++j) {
      if (share_one(stuck[i], stuck[j])) {
        if (!has_room) {
          return Parting::failed;
        }
        if (move(*stuck[j].carrier, taken) || move(*stuck[i].carrier, taken)) {
          return Parting::done;
        }
        result = Parting::failed;
      }
    }
  }
  return result;
}

uint32_t list_stuck(Stuck (&stuck)[kMostStuck], int64_t now) {
  uint32_t count = 0;
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr && count < kMostStuck;
       carrier = carrier->next_in_crew) {
    Watched& notes = carrier->watched;
    if (notes.places > 0) {
      int64_t used = cpu_time(carrier->kernel_tid);
      bool has_computed = used > notes.cpu_before;
      bool lacks_time = (used - notes.cpu_before) * 4 < (now - notes.since) * 3;
      notes.cpu_before = used;
      notes.since = now;
      if (has_computed) {
        stuck[count++] = {carrier, lacks_time, -1};
      }
    }
  }
  return count;
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

void part_stuck_carriers(int64_t now, uint32_t stuck_ones) {
  if (!patience.is_over(now, stuck_ones)) {
    return;
  }
  patience.next = now + Spread::kStay;
  Stuck stuck[kMostStuck];
  uint32_t count = list_stuck(stuck, now);
  auto lacks_time = [](const Stuck& one) { return one.lacks_time; };
  if (std::count_if(stuck, stuck + count, lacks_time) < 2) {
    return;
  }
  Processors allowed;
  if (is_filtered() || !allowed.get(stuck[0].carrier->kernel_tid) || allowed.count() < 2 ||
      !are_processors_told()) {
    patience.fail(now);
    return;
  }
  Processors taken;
  for (uint32_t i = 0; i < count; ++i) {
    stuck[i].processor = processor_of(stuck[i].carrier->kernel_tid);
    if (stuck[i].processor >= 0) {
      taken.add(static_cast<uint32_t>(stuck[i].processor));
    }
  }
  if (!moving.try_lock()) {
    return;
  }
  Parting result = part_a_pair(stuck, count, taken, allowed.without(taken).count() > 0);
  moving.unlock();
  if (result == Parting::done) {
    patience.succeed(now);
  } else if (result == Parting::failed) {
    patience.fail(now);
  } else {
    patience.next = now + Patience::kLeast;  // others take the time, and looking costs something
  }
}

}  // namespace ramie::core

#include "core/spread.h"

#include <algorithm>
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
  [[nodiscard]] bool is_empty() const {
    return std::all_of(std::begin(words), std::end(words), [](uint64_t word) { return word == 0; });
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
  Processors free = before;
  for (size_t i = 0; i < std::size(free.words); ++i) {
    free.words[i] &= ~taken.words[i];
  }
  if (free.is_empty() || !free.set(tid)) {
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

// One that is stuck, as the watchdog sees it.
struct Stuck {
  Carrier* carrier;
  bool lacks_time;  // has had less than three quarters of a processor since the last look
  int processor;    // -1: sleeps
};

constexpr uint32_t kMostStuck = 16;  // that are looked at
constinit int64_t next_parting = 0;  // the watchdog's own
constexpr int64_t kPatience = 5 * Spread::kStay;

// A carrier that shares its processor with one before it in the list, or null.
Carrier* find_one_too_many(const Stuck* stuck, uint32_t count) {
  for (uint32_t i = 0; i < count; ++i) {
    for (uint32_t j = i + 1; j < count; ++j) {
      if (stuck[i].lacks_time && stuck[j].lacks_time && stuck[i].processor >= 0 &&
          stuck[i].processor == stuck[j].processor) {
        return stuck[j].carrier;
      }
    }
  }
  return nullptr;
}

uint32_t list_stuck(Stuck (&stuck)[kMostStuck], int64_t now) {
  uint32_t count = 0;
  for (Carrier* carrier = carriers_of_crew(); carrier != nullptr && count < kMostStuck;
       carrier = carrier->next_in_crew) {
    Watched& notes = carrier->watched;
    if (notes.places > 0) {
      int64_t used = cpu_time(carrier->kernel_tid);
      bool lacks_time = (used - notes.cpu_before) * 4 < (now - notes.since) * 3;
      notes.cpu_before = used;
      notes.since = now;
      stuck[count++] = {carrier, lacks_time, -1};
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

void part_stuck_carriers(int64_t now) {
  if (now < next_parting) {
    return;
  }
  next_parting = now + Spread::kStay;
  Stuck stuck[kMostStuck];
  uint32_t count = list_stuck(stuck, now);
  if (std::count_if(stuck, stuck + count, [](const Stuck& one) { return one.lacks_time; }) < 2) {
    return;
  }
  struct {
    Processors taken;
    bool is_done = false;
  } move;
  for (uint32_t i = 0; i < count; ++i) {
    stuck[i].processor = processor_of(stuck[i].carrier->kernel_tid);
    if (stuck[i].processor >= 0) {
      move.taken.add(static_cast<uint32_t>(stuck[i].processor));
    }
  }
  Carrier* leaving = find_one_too_many(stuck, count);
  if (leaving != nullptr && moving.try_lock()) {
    auto change = [](Carrier& carrier, void* argument) {
      auto& wanted = *static_cast<decltype(move)*>(argument);
      wanted.is_done = leave(carrier.kernel_tid, wanted.taken);
    };
    change_for_a_moment(*leaving, change, &move);
    moving.unlock();
  }
  if (!move.is_done) {
    next_parting = now + kPatience;  // there are too many, and looking costs something
  }
}

}  // namespace ramie::core

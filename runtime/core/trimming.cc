#include "core/trimming.h"

#include <atomic>

#include "core/slab.h"

namespace ramie::core {
namespace {

constexpr int64_t kInterval = base::kNanosPerSecond;
constexpr int64_t kPause = 2'000'000;  // between two parts, for what may have come meanwhile

constinit std::atomic<int64_t> next_time = 0;

bool has_spare() {
  for (Slab* slab = Slab::first(); slab != nullptr; slab = slab->next()) {
    if (slab->has_spare()) {
      return true;
    }
  }
  return false;
}

}  // namespace

base::Deadline trim_stacks(int64_t now) {
  if (!has_spare()) {
    return base::Deadline::never();
  }
  int64_t due = next_time.load(std::memory_order_relaxed);
  if (now < due) {
    return base::Deadline::at(due);
  }
  if (!next_time.compare_exchange_strong(due, now + kInterval, std::memory_order_relaxed)) {
    return base::Deadline::at(due);
  }
  bool is_more = false;
  for (Slab* slab = Slab::first(); slab != nullptr; slab = slab->next()) {
    is_more = slab->trim() || is_more;
  }
  if (is_more) {
    next_time.store(now + kPause, std::memory_order_relaxed);
    return base::Deadline::at(now + kPause);
  }
  return base::Deadline::at(now + kInterval);
}

}  // namespace ramie::core

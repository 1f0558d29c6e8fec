// What RAMIE_AUDIT reports: which calls have held up a carrier, how often and for how long.  For
// the observer's thread alone.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string_view>

#include "base/memory_map.h"
#include "core/call_chain.h"
#include "core/thread_activity.h"

namespace ramie::core {

class HoldLog {
 public:
  // `duration` in nanoseconds; `map` is current.
  void add(const Activity& activity, const CallChain& callers, int64_t duration,
           const base::MemoryMap& map);

  // The report, longest in total first, as long as the log lives.
  [[nodiscard]] std::string_view render(int64_t threshold, const base::MemoryMap& map);

 private:
  struct Row {
    long call = 0;
    CallChain callers;     // of the longest one
    uintptr_t object = 0;  // of the first frame
    uint64_t times = 0;
    int64_t total = 0;
    int64_t longest = 0;
  };

  [[nodiscard]] Row* find(const Row& wanted);
  void write(const base::Line<512>& line);

  static constexpr size_t kRows = 256;
  static constexpr size_t kText = 96UL * 1024;

  Row rows_[kRows];
  size_t count_ = 0;
  uint64_t left_out_ = 0;  // had no room
  size_t text_size_ = 0;
  char text_[kText] = {};
};

// "in poll", "computing", "waiting for a page of memory".
void describe_activity(base::Line<512>& line, long call);

}  // namespace ramie::core

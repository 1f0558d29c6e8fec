// The observer's notes on one carrier: what the fiber that runs there does without switching.
#pragma once

#include <cstdint>

#include "core/call_chain.h"
#include "core/thread_activity.h"

namespace ramie::core {

struct Hold {
  uint64_t switches = 0;  // the carrier's, when the fiber was first seen
  int64_t since = 0;      // and when that was
  int64_t cpu_before = 0;
  bool is_reported = false;  // RAMIE_BLOCKED has told of this fiber
  uint64_t fiber = 0;        // its id then

  // What it was last seen doing, from when to when, and by how much processor time at the start.
  Activity activity;
  int64_t activity_since = 0;
  int64_t activity_until = 0;
  int64_t activity_cpu = 0;
  bool has_callers = false;
  CallChain callers;
};

}  // namespace ramie::core

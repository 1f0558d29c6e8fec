// The crews of support/crew.h for tests that also look into the parking lot.
#pragma once

#include "base/deadline.h"
#include "support/crew.h"
#include "sync/parking_lot.h"

namespace ramie::test {

// How many are parked on an address: a requeue onto itself counts without moving.
inline unsigned parked_on(const void* address) {
  return sync::requeue(address, address, 0, sync::kEverybody, [] { return true; }).requeued;
}

inline base::Deadline in_ms(int64_t milliseconds) {
  return base::Deadline::after(base::now(), milliseconds * 1'000'000);
}

}  // namespace ramie::test

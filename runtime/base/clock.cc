#include "base/clock.h"

#include "base/sys.h"
#include "base/vdso.h"

namespace ramie::base {
namespace {

int by_system_call(clockid_t clock, timespec* time) {
  return static_cast<int>(sys::call(SYS_clock_gettime, clock, sys::arg(time)));
}

int find_first(clockid_t clock, timespec* time) {
  auto* found = reinterpret_cast<ReadClock*>(find_in_vdso("__vdso_clock_gettime"));
  found = found != nullptr ? found : by_system_call;
  read_clock_by.store(found, std::memory_order_relaxed);
  return found(clock, time);
}

}  // namespace

constinit std::atomic<ReadClock*> read_clock_by = find_first;

}  // namespace ramie::base

#include "interpose/ops/timeout.h"

#include <algorithm>
#include <cerrno>

#include "interpose/ops/user_memory.h"

namespace ramie::ops {

Timeout::Timeout(long address, Unit unit) : address_(address), unit_(unit) {
  if (address == 0) {
    return;
  }
  timespec time;  // of the same size as a timeval
  static_assert(sizeof(timespec) == sizeof(timeval));
  if (!copy_in(time, address)) {
    error_ = -EFAULT;
    return;
  }
  if (unit == Unit::microseconds) {
    // As the kernel reads it: a million microseconds and more is fine.
    constexpr long kPerSecond = 1'000'000;
    time = {time.tv_sec + time.tv_nsec / kPerSecond, time.tv_nsec % kPerSecond * 1000};
  }
  if (!base::is_valid(time)) {
    error_ = -EINVAL;
    return;
  }
  is_zero_ = time.tv_sec == 0 && time.tv_nsec == 0;
  deadline_ = base::Deadline::after(base::now(), base::to_nanos(time));
}

void Timeout::store_rest() const {
  if (address_ == 0 || is_zero_ || deadline_.is_never()) {
    return;
  }
  timespec rest = base::to_timespec(std::max<int64_t>(deadline_.nanos - base::now(), 0));
  if (unit_ == Unit::microseconds) {
    rest.tv_nsec /= 1000;
  }
  copy_out(address_, rest);
}

}  // namespace ramie::ops

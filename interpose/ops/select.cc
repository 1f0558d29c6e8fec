// select, pselect6.
#include <poll.h>
#include <sys/resource.h>

#include <algorithm>
#include <bit>
#include <cstring>

#include "base/sys.h"
#include "event/reactor.h"
#include "interpose/ops/ops.h"
#include "interpose/ops/polling.h"
#include "interpose/ops/signal_mask.h"
#include "interpose/ops/timeout.h"
#include "interpose/ops/user_memory.h"

namespace ramie::ops {
namespace {

using Word = unsigned long;
constexpr size_t kWordBits = 64;
constexpr short kEventsOfSet[3] = {POLLIN, POLLOUT, POLLPRI};

// The three sets as the caller passed them.  The kernel overwrites the caller's at each look.
class Sets {
 public:
  Sets(long count, const long* addresses)
      : words_((static_cast<size_t>(count) + kWordBits - 1) / kWordBits),
        addresses_(addresses),
        copy_(3 * words_) {}

  // 0, -EFAULT or -ENOMEM.
  long save() {
    if (!copy_) {
      return -ENOMEM;
    }
    for (size_t set = 0; set < 3; ++set) {
      if (addresses_[set] == 0) {
        memset(&copy_[set * words_], 0, bytes());
      } else if (!looks_mapped(addresses_[set])) {
        return -EFAULT;
      } else {
        memcpy(&copy_[set * words_], reinterpret_cast<const void*>(addresses_[set]), bytes());
      }
    }
    return 0;
  }

  void restore() {
    for (size_t set = 0; set < 3; ++set) {
      if (addresses_[set] != 0) {
        memcpy(reinterpret_cast<void*>(addresses_[set]), &copy_[set * words_], bytes());
      }
    }
  }

  // How many descriptors are in any of the sets.
  size_t count() {
    size_t n = 0;
    for (size_t i = 0; i < words_; ++i) {
      n += static_cast<size_t>(std::popcount(any(i)));
    }
    return n;
  }

  void to_poll(pollfd* out) {
    for (size_t i = 0; i < words_; ++i) {
      for (Word left = any(i); left != 0; left &= left - 1) {
        int bit = std::countr_zero(left);
        *out = {static_cast<int>(i * kWordBits) + bit, 0, 0};
        for (size_t set = 0; set < 3; ++set) {
          if ((copy_[set * words_ + i] >> bit & 1) != 0) {
            out->events = static_cast<short>(out->events | kEventsOfSet[set]);
          }
        }
        ++out;
      }
    }
  }

 private:
  [[nodiscard]] size_t bytes() const { return words_ * sizeof(Word); }
  Word any(size_t i) { return copy_[i] | copy_[words_ + i] | copy_[2 * words_ + i]; }

  size_t words_;
  const long* addresses_;
  Scratch<Word, 3 * 1024 / kWordBits> copy_;
};

// The kernel looks at no more than the process can have open, and neither may this: the caller's
// sets may be shorter than `count` says.
long limited(long count) {
  rlimit limit = {};
  if (count <= 1024 ||
      sys::failed(sys::call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, sys::arg(&limit)))) {
    return count;
  }
  return static_cast<long>(
      std::min<rlim_t>(static_cast<rlim_t>(count), std::max<rlim_t>(limit.rlim_cur, 1024)));
}

// look() is the real call on the caller's sets, with a time-out of zero.
template <class Look>
long select_until(const long* a, const Timeout& timeout, SignalMask& mask, Look look) {
  long count = static_cast<int>(a[0]);
  if (timeout.error() != 0) {
    return timeout.error();
  }
  if (count < 0) {
    return -EINVAL;
  }
  Sets sets(limited(count), a + 1);
  if (long error = sets.save(); error != 0) {
    return error;
  }
  size_t watched = sets.count();
  Scratch<pollfd, 64> fds(watched);
  if (!fds) {
    return -ENOMEM;
  }
  sets.to_poll(fds.data());
  auto look_again = [&] {
    sets.restore();
    long found = look();
    return found == 0 && mask.interrupted() ? -long{EINTR} : found;
  };
  auto wait = [&](base::Deadline until) {
    return watched == 0 ? sleep_only(until) : event::wait_fds(fds.data(), watched, until);
  };
  long result =
      mask.end_by_handlers([&] { return look_until(timeout.deadline(), look_again, wait); });
  if (result < 0) {
    sets.restore();
  }
  timeout.store_rest();
  return result;
}

}  // namespace

long select(const long* a) {
  Timeout timeout(a[4], Timeout::Unit::microseconds);
  SignalMask none(0, 0);
  return select_until(a, timeout, none, [&] {
    timeval zero = {};
    return sys::call(SYS_select, a[0], a[1], a[2], a[3], sys::arg(&zero));
  });
}

// Each look is made with the caller's mask: what was pending before the call is taken in the first.
long pselect6(const long* a) {
  struct {
    long address, size;
  } argument = {};
  if (a[5] != 0 && !copy_in(argument, a[5])) {
    return -EFAULT;
  }
  Timeout timeout(a[4]);
  SignalMask mask(argument.address, argument.size);
  return select_until(a, timeout, mask, [&] {
    timespec zero = {};
    return sys::call(SYS_pselect6, a[0], a[1], a[2], a[3], sys::arg(&zero), a[5]);
  });
}

}  // namespace ramie::ops

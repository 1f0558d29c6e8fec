#include "event/own_descriptors.h"

#include <fcntl.h>
#include <sys/eventfd.h>
#include <sys/resource.h>

#include <algorithm>
#include <atomic>
#include <bit>
#include <cstdint>

#include "base/sys.h"

namespace ramie::event {
namespace {

// Below the usual hard limits; a higher limit would only make the kernel's tables longer.
constexpr uint64_t kHighest = 20'000;
constexpr uint64_t kRoom = 64;

constexpr int kRemembered = 1 << 20;
constexpr int kWordBits = 64;

// One bit per descriptor.  128 kB of zeros, of which one page is ever touched.
constinit std::atomic<uint64_t> ours[kRemembered / kWordBits] = {};

int lowest_wanted() {
  rlimit limit{};
  if (sys::failed(sys::call(SYS_prlimit64, 0, RLIMIT_NOFILE, 0, sys::arg(&limit)))) {
    return 0;
  }
  uint64_t top = std::min<uint64_t>(limit.rlim_cur, kHighest);
  return static_cast<int>(top > 2 * kRoom ? top - kRoom : top / 2);
}

bool in_table(int fd) { return fd >= 0 && fd < kRemembered; }

void mark(int fd) {
  if (in_table(fd)) {
    ours[fd / kWordBits].fetch_or(1UL << fd % kWordBits, std::memory_order_relaxed);
  }
}

}  // namespace

int keep(long fd) {
  if (fd < 0) {
    return static_cast<int>(fd);
  }
  int kept = keep_copy(static_cast<int>(fd));
  if (kept >= 0) {
    (void)sys::call(SYS_close, fd);
    return kept;
  }
  (void)sys::call(SYS_fcntl, fd, F_SETFD, FD_CLOEXEC);
  mark(static_cast<int>(fd));
  return static_cast<int>(fd);
}

int keep_copy(int fd) {
  long copy = sys::call(SYS_fcntl, fd, F_DUPFD_CLOEXEC, lowest_wanted());
  if (!sys::failed(copy)) {
    mark(static_cast<int>(copy));
  }
  return static_cast<int>(copy);
}

void make_room() {
  int fd = keep(sys::call(SYS_eventfd2, 0, EFD_CLOEXEC));
  if (fd >= 0) {
    discard(fd);
  }
}

void discard(int fd) {
  // The mark goes first: from the close on, the number may be the program's.
  if (in_table(fd)) {
    ours[fd / kWordBits].fetch_and(~(1UL << fd % kWordBits), std::memory_order_relaxed);
  }
  (void)sys::call(SYS_close, fd);
}

bool is_ours(int fd) {
  return in_table(fd) &&
         (ours[fd / kWordBits].load(std::memory_order_relaxed) >> fd % kWordBits & 1) != 0;
}

void discard_all() {
  for (int i = 0; i < kRemembered / kWordBits; ++i) {
    uint64_t word = ours[i].exchange(0, std::memory_order_relaxed);
    for (; word != 0; word &= word - 1) {
      (void)sys::call(SYS_close, i * kWordBits + std::countr_zero(word));
    }
  }
}

}  // namespace ramie::event

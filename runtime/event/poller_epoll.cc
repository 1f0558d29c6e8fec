// One epoll descriptor for the process, and an eventfd that ends a wait.
#include "event/poller_epoll.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/sys.h"
#include "event/own_descriptors.h"

namespace ramie::event::epoll {
namespace {

constexpr int kBatch = 256;

constinit std::atomic<int> epoll_descriptor = -1;
constinit int wake_up = -1;
constinit std::atomic<bool> has_pwait2 = true;

// Only the one carrier that polls uses it.
constinit epoll_event batch[kBatch] = {};

long control(int on, int operation, int fd, uint32_t events, uint64_t tag) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = tag;
  return sys::call(SYS_epoll_ctl, on, operation, fd, sys::arg(&event));
}

long wait_in_kernel(base::Deadline deadline, const std::atomic<uint64_t>* mask) {
  long fd = epoll_descriptor.load(std::memory_order_relaxed);
  int64_t nanos = deadline.is_never() ? 0 : base::nanos_left(deadline);
  if (has_pwait2.load(std::memory_order_relaxed)) {
    timespec left = base::to_timespec(nanos);
    long n = sys::call(SYS_epoll_pwait2, fd, sys::arg(batch), kBatch,
                       deadline.is_never() ? 0 : sys::arg(&left), sys::arg(mask), sizeof *mask);
    // Before Linux 5.11 the call is unknown; some sandboxes say EPERM to what they don't know.
    if (n != -ENOSYS && n != -EPERM) {
      return n;
    }
    has_pwait2.store(false, std::memory_order_relaxed);
  }
  constexpr int64_t kNanosPerMilli = 1'000'000;
  constexpr int64_t kLongest = 1 << 30;
  // Rounded up: a fiber must not be woken before its time.
  int64_t millis = nanos / kNanosPerMilli + (nanos % kNanosPerMilli != 0 ? 1 : 0);
  return sys::call(SYS_epoll_pwait, fd, sys::arg(batch), kBatch,
                   deadline.is_never() ? -1 : std::min(millis, kLongest), sys::arg(mask),
                   sizeof *mask);
}

}  // namespace

bool wait(base::Deadline deadline, core::tls::Cpu& cpu, const std::atomic<uint64_t>* mask) {
  bool has_no_time = !deadline.is_never() && base::nanos_left(deadline) <= 0;
  long n = wait_in_kernel(deadline, mask);
  core::tls::refresh(cpu);
  if (n == -EBADF || n == -EINVAL) {
    base::fail("the program closed a descriptor of Ramie's", __FILE__, __LINE__);
  }
  for (long i = 0; i < n; ++i) {
    report_event(batch[i].data.u64, batch[i].events);
  }
  return n > 0 || (n == 0 && has_no_time);
}

// The eventfd is edge-triggered and never read: each write is an event.
void wake() {
  uint64_t one = 1;
  (void)sys::call(SYS_write, wake_up, sys::arg(&one), sizeof one);
}

bool has_events() {
  pollfd look = {epoll_descriptor.load(std::memory_order_relaxed), POLLIN, 0};
  return sys::call(SYS_poll, sys::arg(&look), 1, 0) > 0;
}

int open() {
  int new_epoll = keep(sys::call(SYS_epoll_create1, EPOLL_CLOEXEC));
  if (new_epoll < 0) {
    return new_epoll;
  }
  wake_up = keep(sys::call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake_up < 0) {
    discard(new_epoll);
    return wake_up;
  }
  long result = control(new_epoll, EPOLL_CTL_ADD, wake_up, EPOLLIN | EPOLLET, kWakeUpTag);
  if (sys::failed(result)) {
    discard(wake_up);
    discard(new_epoll);
    return static_cast<int>(result);
  }
  epoll_descriptor.store(new_epoll,
                         std::memory_order_relaxed);  // the poller is published by its opener
  return 0;
}

long watch(int fd, uint32_t events, uint64_t tag) {
  int on = epoll_descriptor.load(std::memory_order_relaxed);
  long result = control(on, EPOLL_CTL_ADD, fd, events, tag);
  return result == -EEXIST ? control(on, EPOLL_CTL_MOD, fd, events, tag) : result;
}

void unwatch(int fd) {
  // ENOENT and EBADF: it is closed already, by a way that we don't see.
  (void)control(epoll_descriptor.load(std::memory_order_relaxed), EPOLL_CTL_DEL, fd, 0, 0);
}

void reset() {
  epoll_descriptor.store(-1, std::memory_order_relaxed);
  wake_up = -1;
}

int descriptor() { return epoll_descriptor.load(std::memory_order_relaxed); }

}  // namespace ramie::event::epoll

#include "event/poller_epoll.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/lock.h"
#include "base/sys.h"
#include "core/poller.h"
#include "core/scheduler.h"
#include "event/own_descriptors.h"

namespace ramie::event {
namespace {

constexpr int kBatch = 256;
constexpr uint32_t kMaxSources = 8;
constexpr uint32_t kEverything = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;
// In the place of a descriptor in epoll's data: the upper half is the index of a source.
constexpr uint32_t kSource = ~0U;

constinit base::Lock starting;
constinit std::atomic<int> epoll = -1;  // release after everything else is ready
constinit int wake_up = -1;
constinit std::atomic<DescriptorHandler> descriptor_handler = nullptr;
constinit std::atomic<uint64_t> waiting = 0;
constinit std::atomic<bool> has_pwait2 = true;

using Ready = void (*)();
constinit std::atomic<Ready> sources[kMaxSources] = {};

// Only the one carrier that polls uses it.
constinit epoll_event batch[kBatch] = {};

constexpr uint64_t pack(uint32_t fd, uint32_t generation) {
  return static_cast<uint64_t>(generation) << 32 | fd;
}

long control(int operation, int fd, uint32_t events, uint64_t data) {
  epoll_event event{};
  event.events = events;
  event.data.u64 = data;
  return sys::call(SYS_epoll_ctl, epoll.load(std::memory_order_acquire), operation, fd,
                   sys::arg(&event));
}

// How long until the deadline; never negative.
int64_t nanos_left(base::Deadline deadline) {
  return deadline.nanos <= 0 ? 0 : std::max<int64_t>(deadline.nanos - base::now(), 0);
}

long wait_in_kernel(base::Deadline deadline) {
  long fd = epoll.load(std::memory_order_relaxed);
  int64_t nanos = deadline.is_never() ? 0 : nanos_left(deadline);
  if (has_pwait2.load(std::memory_order_relaxed)) {
    timespec left = base::to_timespec(nanos);
    long n = sys::call(SYS_epoll_pwait2, fd, sys::arg(batch), kBatch,
                       deadline.is_never() ? 0 : sys::arg(&left), 0, 0);
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
                   deadline.is_never() ? -1 : std::min(millis, kLongest), 0, 0);
}

void wait(base::Deadline deadline, core::tls::Cpu& cpu) {
  long n = wait_in_kernel(deadline);
  core::tls::refresh(cpu);
  if (n == -EBADF || n == -EINVAL) {
    base::fail("the program closed a descriptor of Ramie's", __FILE__, __LINE__);
  }
  for (long i = 0; i < n; ++i) {
    uint64_t data = batch[i].data.u64;
    auto fd = static_cast<uint32_t>(data);
    auto upper = static_cast<uint32_t>(data >> 32);
    if (fd != kSource) {
      descriptor_handler.load(std::memory_order_acquire)(static_cast<int>(fd), upper,
                                                         batch[i].events);
    } else if (Ready ready = sources[upper].load(std::memory_order_acquire)) {
      ready();
    }
  }
}

// The eventfd is edge-triggered and never read: each write is an event.
void wake() {
  uint64_t one = 1;
  (void)sys::call(SYS_write, wake_up, sys::arg(&one), sizeof one);
}

bool has_waiters() { return waiting.load(std::memory_order_relaxed) != 0; }

constexpr core::Poller kPoller = {wait, wake, has_waiters};

int open_all() RAMIE_REQUIRES(starting) {
  int new_epoll = keep(sys::call(SYS_epoll_create1, EPOLL_CLOEXEC));
  if (new_epoll < 0) {
    return new_epoll;
  }
  wake_up = keep(sys::call(SYS_eventfd2, 0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (wake_up < 0) {
    discard(new_epoll);
    return wake_up;
  }
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;
  event.data.u64 = pack(kSource, 0);  // source 0 has no handler: ending the wait is all it does
  long result = sys::call(SYS_epoll_ctl, new_epoll, EPOLL_CTL_ADD, wake_up, sys::arg(&event));
  if (sys::failed(result)) {
    discard(wake_up);
    discard(new_epoll);
    return static_cast<int>(result);
  }
  epoll.store(new_epoll, std::memory_order_release);  // pairs with start_poller() and control()
  core::set_poller(&kPoller);
  return 0;
}

}  // namespace

int start_poller() {
  if (epoll.load(std::memory_order_acquire) >= 0) [[likely]] {
    return 0;
  }
  base::LockGuard guard(starting);
  return epoll.load(std::memory_order_relaxed) >= 0 ? 0 : open_all();
}

void set_descriptor_handler(DescriptorHandler handler) {
  descriptor_handler.store(handler, std::memory_order_release);  // pairs with wait()
}

long watch(int fd, uint32_t generation) {
  uint64_t data = pack(static_cast<uint32_t>(fd), generation);
  long result = control(EPOLL_CTL_ADD, fd, kEverything, data);
  if (result == -EEXIST) {
    result = control(EPOLL_CTL_MOD, fd, kEverything, data);
  }
  return result;
}

void unwatch(int fd) {
  // ENOENT and EBADF: it is closed already, by a way that we don't see.
  (void)control(EPOLL_CTL_DEL, fd, 0, 0);
}

int add_source(int fd, void (*ready)()) {
  int result = start_poller();
  if (result < 0) {
    return result;
  }
  base::LockGuard guard(starting);
  for (uint32_t i = 1; i < kMaxSources; ++i) {
    if (sources[i].load(std::memory_order_relaxed) == nullptr) {
      sources[i].store(ready, std::memory_order_release);  // pairs with wait()
      long added = control(EPOLL_CTL_ADD, fd, EPOLLIN | EPOLLET, pack(kSource, i));
      if (sys::failed(added)) {
        sources[i].store(nullptr, std::memory_order_relaxed);
      }
      return static_cast<int>(added);
    }
  }
  base::fail("too many event sources", __FILE__, __LINE__);
}

void waiting_began() { waiting.fetch_add(1, std::memory_order_relaxed); }

void waiting_ended() { waiting.fetch_sub(1, std::memory_order_relaxed); }

void reset_poller() {
  starting.reset();
  epoll.store(-1, std::memory_order_relaxed);
  wake_up = -1;
  waiting.store(0, std::memory_order_relaxed);
  for (auto& source : sources) {
    source.store(nullptr, std::memory_order_relaxed);
  }
}

}  // namespace ramie::event

#include "event/poller.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/lock.h"
#include "core/poller.h"
#include "core/scheduler.h"
#include "event/poller_epoll.h"

namespace ramie::event {
namespace {

constexpr uint32_t kMaxSources = 8;
// In the place of a descriptor in a tag: the upper half is the index of a source.  Source 0 is the
// backend's own wake-up.
constexpr uint32_t kSource = static_cast<uint32_t>(kWakeUpTag);

constinit base::Lock starting;
constinit std::atomic<bool> is_open = false;
constinit std::atomic<DescriptorHandler> descriptor_handler = nullptr;
constinit std::atomic<uint64_t> waiting = 0;

using Ready = void (*)();

struct Source {
  std::atomic<Ready> ready = nullptr;
  std::atomic<int> fd = -1;
};
constinit Source sources[kMaxSources] = {};

constinit core::Poller installed;

constexpr uint64_t pack(uint32_t fd, uint32_t generation) {
  return static_cast<uint64_t>(generation) << 32 | fd;
}

long watch_source(uint32_t index) {
  return epoll::watch(sources[index].fd.load(std::memory_order_relaxed), EPOLLIN | EPOLLET,
                      pack(kSource, index));
}

bool has_waiters() { return waiting.load(std::memory_order_relaxed) != 0; }

int open_one() RAMIE_REQUIRES(starting) {
  if (int result = epoll::open(); result < 0) {
    return result;
  }
  installed = {epoll::wait, epoll::wake, has_waiters, epoll::has_events};
  is_open.store(true, std::memory_order_release);  // pairs with start_poller()
  core::set_poller(&installed);
  return 0;
}

}  // namespace

void report_event(uint64_t tag, uint32_t events) {
  auto fd = static_cast<uint32_t>(tag);
  auto upper = static_cast<uint32_t>(tag >> 32);
  if (fd != kSource) {
    descriptor_handler.load(std::memory_order_acquire)(static_cast<int>(fd), upper, events);
  } else if (Ready ready = sources[upper].ready.load(std::memory_order_acquire)) {
    ready();
  }
}

int poller_descriptor() { return epoll::descriptor(); }

int start_poller() {
  if (is_open.load(std::memory_order_acquire)) [[likely]] {
    return 0;
  }
  base::LockGuard guard(starting);
  return is_open.load(std::memory_order_relaxed) ? 0 : open_one();
}

void set_descriptor_handler(DescriptorHandler handler) {
  descriptor_handler.store(handler, std::memory_order_release);  // pairs with report_event()
}

long watch(int fd, uint32_t generation) {
  return epoll::watch(fd, kEverything, pack(static_cast<uint32_t>(fd), generation));
}

void unwatch(int fd) { epoll::unwatch(fd); }

int add_source(int fd, void (*ready)()) {
  int result = start_poller();
  if (result < 0) {
    return result;
  }
  base::LockGuard guard(starting);
  for (uint32_t i = 1; i < kMaxSources; ++i) {
    Source& source = sources[i];
    if (source.ready.load(std::memory_order_relaxed) == nullptr) {
      source.fd.store(fd, std::memory_order_relaxed);
      source.ready.store(ready, std::memory_order_release);  // pairs with report_event()
      long added = watch_source(i);
      if (added < 0) {
        source.ready.store(nullptr, std::memory_order_relaxed);
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
  if (is_open.exchange(false, std::memory_order_relaxed)) {
    epoll::reset();
  }
  waiting.store(0, std::memory_order_relaxed);
  for (Source& source : sources) {
    source.ready.store(nullptr, std::memory_order_relaxed);
  }
}

}  // namespace ramie::event

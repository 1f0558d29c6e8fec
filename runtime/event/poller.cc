#include "event/poller.h"

#include <algorithm>
#include <atomic>
#include <cerrno>

#include "base/check.h"
#include "base/config.h"
#include "base/lock.h"
#include "base/log.h"
#include "core/crew.h"
#include "core/poller.h"
#include "core/scheduler.h"
#include "event/poller_backend.h"

namespace ramie::event {
namespace {

using base::PollerChoice;

constexpr uint32_t kMaxSources = 8;
// In the place of a descriptor in a tag: the upper half is the index of a source.  Source 0 is the
// backend's own wake-up.
constexpr uint32_t kSource = static_cast<uint32_t>(kWakeUpTag);

constinit base::Lock starting;
constinit std::atomic<const PollerBackend*> backend = nullptr;  // released when it is open
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

const PollerBackend& in_use() { return *backend.load(std::memory_order_acquire); }

long watch_source(uint32_t index) {
  return in_use().watch(sources[index].fd.load(std::memory_order_relaxed), EPOLLIN | EPOLLET,
                        pack(kSource, index));
}

// Carriers that share their fibers share no ring: see docs/limits.md.
bool is_ring_allowed() { return core::crew.limit.load(std::memory_order_relaxed) <= 1; }

const PollerBackend& first_choice() {
  return base::config().poller == PollerChoice::io_uring && is_ring_allowed() ? kIoUringBackend
                                                                              : kEpollBackend;
}

bool has_waiters() { return waiting.load(std::memory_order_relaxed) != 0; }

int open_one() RAMIE_REQUIRES(starting) {
  const PollerBackend* chosen = &first_choice();
  if (base::config().poller == PollerChoice::io_uring && !is_ring_allowed()) {
    base::log_line(base::LogLevel::warn, "a poller by io_uring is for one carrier: epoll it is");
  }
  int result = chosen->open();
  if (result < 0 && chosen != &kEpollBackend) {
    base::log_line(base::LogLevel::warn, "the kernel refuses a poller by ", chosen->name,
                   " (errno ", -result, "): epoll it is");
    chosen = &kEpollBackend;
    result = chosen->open();
  }
  if (result < 0) {
    return result;
  }
  installed = {chosen->wait, chosen->wake, has_waiters};
  backend.store(chosen, std::memory_order_release);  // pairs with start_poller() and in_use()
  core::set_poller(&installed);
  return 0;
}

}  // namespace

void report_event(uint64_t tag, uint32_t events) {
  auto fd = static_cast<uint32_t>(tag);
  auto upper = static_cast<uint32_t>(tag >> 32);
  bool ended = (events & kWatchEnded) != 0;
  if (fd != kSource) {
    descriptor_handler.load(std::memory_order_acquire)(static_cast<int>(fd), upper,
                                                       events & ~kWatchEnded, ended);
  } else if (Ready ready = sources[upper].ready.load(std::memory_order_acquire)) {
    if (ended) {
      (void)watch_source(upper);
    }
    ready();
  }
}

int start_poller() {
  if (backend.load(std::memory_order_acquire) != nullptr) [[likely]] {
    return 0;
  }
  base::LockGuard guard(starting);
  return backend.load(std::memory_order_relaxed) != nullptr ? 0 : open_one();
}

const char* poller_name() {
  const PollerBackend* open = backend.load(std::memory_order_acquire);
  return open != nullptr ? open->name : first_choice().name;
}

void set_descriptor_handler(DescriptorHandler handler) {
  descriptor_handler.store(handler, std::memory_order_release);  // pairs with report_event()
}

long watch(int fd, uint32_t generation) {
  return in_use().watch(fd, kEverything, pack(static_cast<uint32_t>(fd), generation));
}

void unwatch(int fd, uint32_t generation) {
  in_use().unwatch(fd, pack(static_cast<uint32_t>(fd), generation));
}

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
  if (const PollerBackend* open = backend.exchange(nullptr, std::memory_order_relaxed)) {
    open->reset();
  }
  waiting.store(0, std::memory_order_relaxed);
  for (Source& source : sources) {
    source.ready.store(nullptr, std::memory_order_relaxed);
  }
}

}  // namespace ramie::event

// The poller by epoll(7), for event/poller.cc alone.
#pragma once

#include <sys/epoll.h>

#include <atomic>
#include <cstdint>

#include "base/deadline.h"
#include "core/tls.h"

namespace ramie::event {

// All that may happen to a descriptor, each event once.
inline constexpr uint32_t kEverything = EPOLLIN | EPOLLOUT | EPOLLPRI | EPOLLRDHUP | EPOLLET;

// No descriptor's tag: what ends a wait and has nothing else to say.
inline constexpr uint64_t kWakeUpTag = ~uint32_t{0};

// For each event, on the loop of the carrier that is in wait().
void report_event(uint64_t tag, uint32_t events);

namespace epoll {

// Opens the descriptors.  0 or -errno: then nothing is left behind.  Once, before all else.
int open();

// As core::Poller has them; each event is passed to report_event().
[[nodiscard]] bool wait(base::Deadline deadline, core::tls::Cpu& cpu,
                        const std::atomic<uint64_t>* mask);
void wake();
[[nodiscard]] bool has_events();

// Registers a descriptor, or registers it again, for these EPOLL* events with EPOLLET; `tag` comes
// back with each.  What is true already is an event.  0 or epoll_ctl's -errno.  Any thread.
long watch(int fd, uint32_t events, uint64_t tag);
// Before the close.
void unwatch(int fd);

// The epoll descriptor.
int descriptor();

// After fork, in the child: the parent's descriptors are closed.
void reset();

}  // namespace epoll
}  // namespace ramie::event

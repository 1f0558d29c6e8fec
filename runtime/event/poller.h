// The process's poller, for the users that it reports to: the reactor, for the program's
// descriptors, and the few sources inside Ramie that are descriptors themselves (completions of the
// ring, of offloaded calls).
//
// It is opened at the first need, and installed as the scheduler's then (core/poller.h).
#pragma once

#include <cstdint>

namespace ramie::event {

// Opens the poller and installs it, if that hasn't been done.  0 or -errno.  Any thread.
[[nodiscard]] int start_poller();

// Called for each event of a watched descriptor, on a carrier's loop: it may unpark, not park.
// `generation` is the one that watch() was given, `events` are EPOLL* bits.
using DescriptorHandler = void (*)(int fd, uint32_t generation, uint32_t events);
void set_descriptor_handler(DescriptorHandler handler);

// Readable when the poller has events: for a carrier that waits in its ring.  It has been started.
[[nodiscard]] int poller_descriptor();

// Registers a descriptor, edge-triggered, for everything; one that is registered already gets the
// new generation.  0 or epoll_ctl's -errno: -EPERM for what has no readiness, such as a regular
// file. The poller has been started.
[[nodiscard]] long watch(int fd, uint32_t generation);
void unwatch(int fd);

// Registers a descriptor of Ramie's own, edge-triggered for input: `ready` is called on a carrier's
// loop.  A handful, for good.  Starts the poller.  0 or -errno.
[[nodiscard]] int add_source(int fd, void (*ready)());

// Counts what the poller may one day report to somebody (Poller::has_waiters).
void waiting_began();
void waiting_ended();

// After fork, in the child: there is no poller.  Its descriptors are closed by discard_all().
void reset_poller();

}  // namespace ramie::event

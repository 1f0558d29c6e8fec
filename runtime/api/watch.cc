// Waiting for several things at once: the exported side of the parking lot's watches.
#include <ramie/detail/abi.h>

#include <new>

#include "api/interruptible.h"
#include "base/deadline.h"
#include "sync/event.h"
#include "sync/parking_lot.h"
#include "sync/semaphore.h"

namespace ramie::detail {
namespace {

static_assert(sizeof(watch) == sizeof(sync::Watch));
static_assert(sizeof(sync::WatchSet) <= sizeof(watch_set));

sync::Watch& watch_of(watch* place) { return *reinterpret_cast<sync::Watch*>(place); }

sync::WatchSet& set_of(watch_set* set) { return *reinterpret_cast<sync::WatchSet*>(set); }

}  // namespace

wait_key key_of_event(const word& event) noexcept {
  return {&event,
          [](const void* object) noexcept {
            return sync::Event::must_wait(*static_cast<word*>(const_cast<void*>(object)));
          },
          &event};
}

wait_key key_of_semaphore(const word& semaphore) noexcept {
  return {&semaphore,
          [](const void* object) noexcept {
            return sync::Semaphore::must_wait(*static_cast<word*>(const_cast<void*>(object)));
          },
          &semaphore};
}

void open_watches(watch_set* set) noexcept { new (set) sync::WatchSet; }

bool begin_watch(watch* made, watch_set* set, const wait_key& key) noexcept {
  return sync::watch(watch_of(made), set_of(set), key.address,
                     [&] { return key.must_wait(key.object); });
}

void end_watch(watch* ended) noexcept { sync::unwatch(watch_of(ended)); }

watch* wait_watches(watch_set* set, std::int64_t deadline) noexcept {
  Interruptible section;
  return reinterpret_cast<watch*>(sync::wait_fired(set_of(set), base::Deadline::at(deadline)));
}

}  // namespace ramie::detail

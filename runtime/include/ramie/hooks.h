// Functions that are called for every spawned fiber: at its birth and at its end.  For statistics,
// tracing, and for libraries that keep something for each fiber (see also fiber_local).
#pragma once

#include <ramie/detail/abi.h>
#include <ramie/spawn_site.h>

#include <atomic>
#include <cstdint>
#include <string_view>

namespace ramie {

// What hooks are told of a fiber.
struct fiber_info {
  std::uint64_t id;
  std::uint64_t parent;   // the fiber that spawned it, 0 if that was none
  std::string_view name;  // valid during the call
  spawn_site site;        // where it was spawned, if fiber_attributes::site says so
};

// Must not throw, nor wait.
using fiber_hook = void (*)(const fiber_info& fiber) noexcept;

namespace detail {

inline std::atomic<fiber_hook> spawn_hook = nullptr;
inline std::atomic<fiber_hook> exit_hook = nullptr;

[[gnu::always_inline]] inline void call_hook(const std::atomic<fiber_hook>& hook,
                                             const control* fiber,
                                             const spawn_site& site) noexcept {
  if (fiber_hook function = hook.load(std::memory_order_acquire)) [[unlikely]] {
    function({id_of(fiber), parent_of(fiber), name_of(fiber), site});
  }
}

}  // namespace detail

// From now on `hook` is called by spawn(), on the spawning fiber or thread, before the new fiber
// runs.  Null for none.  Returns the hook before, which the new one may call.  Any thread.
inline fiber_hook set_spawn_hook(fiber_hook hook) noexcept {
  return detail::spawn_hook.exchange(hook, std::memory_order_acq_rel);
}

// The same at the end of a fiber, on the fiber itself, when its function, its arguments and its
// fiber-local values are gone, and before anybody learns of its end.  Also for a fiber that was
// cancelled before it started.
inline fiber_hook set_exit_hook(fiber_hook hook) noexcept {
  return detail::exit_hook.exchange(hook, std::memory_order_acq_rel);
}

}  // namespace ramie

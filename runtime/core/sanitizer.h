// Tells AddressSanitizer and ThreadSanitizer that the stack changes; nothing in other builds.
// (sanitizer/common_interface_defs.h, sanitizer/tsan_interface.h)
#pragma once

#include <cstddef>

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define RAMIE_ASAN 1
#elif __has_feature(thread_sanitizer)
#define RAMIE_TSAN 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__)
#define RAMIE_ASAN 1
#elif defined(__SANITIZE_THREAD__)
#define RAMIE_TSAN 1
#endif

#if defined(RAMIE_ASAN)
#include <sanitizer/asan_interface.h>
#include <sanitizer/common_interface_defs.h>
#elif defined(RAMIE_TSAN)
#include <sanitizer/tsan_interface.h>
#endif

// For the handler of a signal that comes anywhere: were it instrumented, and came the signal within
// ThreadSanitizer's own code, it would wait for a lock that its own thread holds.  What it calls
// has to be inlined into it.
#if !defined(RAMIE_TSAN)
#define RAMIE_UNINSTRUMENTED
#elif defined(__clang__)
#define RAMIE_UNINSTRUMENTED [[clang::disable_sanitizer_instrumentation]]
#else
#define RAMIE_UNINSTRUMENTED [[gnu::no_sanitize_thread]]
#endif

namespace ramie::core {

#if defined(RAMIE_ASAN) || defined(RAMIE_TSAN)
inline constexpr bool kIsSanitized = true;
#else
inline constexpr bool kIsSanitized = false;
#endif

#if defined(RAMIE_ASAN)

struct SanitizerState {
  void* fake_stack = nullptr;
  const void* bottom = nullptr;
  size_t size = 0;

  void create(const void* stack_bottom, size_t stack_size) {
    fake_stack = nullptr;
    bottom = stack_bottom;
    size = stack_size;
    forget_frames(stack_bottom, stack_size);
  }
  // A fiber ends in the middle of its frames, so a recycled stack still has their red zones.
  static void forget_frames(const void* start, size_t length) {
    __asan_unpoison_memory_region(start, length);
  }
  // Bottom and size are learnt at the first switch away.  A carrier that is used again by another
  // thread still has those of the last one.
  void adopt_thread() { *this = {}; }
  void destroy() {}
};

inline void before_switch(SanitizerState& from, SanitizerState& to, bool from_ends) {
  __sanitizer_start_switch_fiber(from_ends ? nullptr : &from.fake_stack, to.bottom, to.size);
}
// `previous` is the state of the stack that was left.
inline void after_switch(SanitizerState& now, SanitizerState& previous) {
  const void* bottom = nullptr;
  size_t size = 0;
  __sanitizer_finish_switch_fiber(now.fake_stack, &bottom, &size);
  if (previous.bottom == nullptr) {
    previous.bottom = bottom;
    previous.size = size;
  }
}

#elif defined(RAMIE_TSAN)

struct SanitizerState {
  void* fiber = nullptr;

  void create(const void*, size_t) { fiber = __tsan_create_fiber(0); }
  static void forget_frames(const void*, size_t) {}
  void adopt_thread() { fiber = __tsan_get_current_fiber(); }
  void destroy() {
    if (fiber != nullptr) {
      __tsan_destroy_fiber(fiber);
      fiber = nullptr;
    }
  }
};

inline void before_switch(SanitizerState&, SanitizerState& to, bool) {
  __tsan_switch_to_fiber(to.fiber, 0);
}
inline void after_switch(SanitizerState&, SanitizerState&) {}

#else

struct SanitizerState {
  void create(const void*, size_t) {}
  static void forget_frames(const void*, size_t) {}
  void adopt_thread() {}
  void destroy() {}
};
inline void before_switch(SanitizerState&, SanitizerState&, bool) {}
inline void after_switch(SanitizerState&, SanitizerState&) {}

#endif

}  // namespace ramie::core

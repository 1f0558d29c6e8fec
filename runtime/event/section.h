// Stretches of runtime code that take locks: no signal handler of the program may run meanwhile on
// the same thread, because it could come back for the same lock.
#pragma once

#include <cstdint>

#include "base/sys.h"
#include "core/carrier.h"
#include "event/poller.h"

namespace ramie::event {

// For code that any thread may run.  On a fiber, handlers are put off (core::RuntimeSection).  On a
// kernel thread without fibers, whose handlers nobody puts off, signals are blocked.
class Section {
 public:
  [[gnu::always_inline]] Section() : self_(core::current()) {
    if (self_ != nullptr) [[likely]] {
      core::RuntimeSection::begin(*self_);
    } else {
      before_ = block_all();
    }
  }
  [[gnu::always_inline]] ~Section() {
    if (self_ != nullptr) [[likely]] {
      core::RuntimeSection::end(*self_);
    } else {
      unblock(before_);
    }
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  // By value, so that a compiler may keep the section in registers.
  [[gnu::cold, gnu::noinline]] static uint64_t block_all() {
    uint64_t all = ~uint64_t{0};
    uint64_t before = 0;
    (void)sys::call(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, sys::arg(&all), sys::arg(&before), 8);
    return before;
  }
  [[gnu::cold, gnu::noinline]] static void unblock(uint64_t before) {
    (void)sys::call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, sys::arg(&before), 0, 8);
  }

  core::Fiber* self_;
  uint64_t before_ = 0;
};

// A section on a fiber that waits for something the poller will report.
class WaitingSection {
 public:
  WaitingSection() : section_(*core::current()) { waiting_began(); }
  ~WaitingSection() { waiting_ended(); }
  WaitingSection(const WaitingSection&) = delete;
  WaitingSection& operator=(const WaitingSection&) = delete;

 private:
  core::RuntimeSection section_;
};

}  // namespace ramie::event

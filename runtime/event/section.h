// Stretches of runtime code that take locks: no signal handler of the program may run meanwhile on
// the same thread, because it could come back for the same lock.
#pragma once

#include <cstdint>
#include <optional>

#include "base/sys.h"
#include "core/carrier.h"
#include "event/poller.h"

namespace ramie::event {

// For code that any thread may run.  On a fiber, handlers are put off (core::RuntimeSection).  On a
// kernel thread without fibers, whose handlers nobody puts off, signals are blocked.
class Section {
 public:
  Section() {
    if (core::Fiber* self = core::current()) {
      section_.emplace(*self);
    } else {
      uint64_t all = ~uint64_t{0};
      (void)sys::call(SYS_rt_sigprocmask, 0 /* SIG_BLOCK */, sys::arg(&all), sys::arg(&before_), 8);
    }
  }
  ~Section() {
    if (!section_.has_value()) {
      (void)sys::call(SYS_rt_sigprocmask, 2 /* SIG_SETMASK */, sys::arg(&before_), 0, 8);
    }
  }
  Section(const Section&) = delete;
  Section& operator=(const Section&) = delete;

 private:
  std::optional<core::RuntimeSection> section_;
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

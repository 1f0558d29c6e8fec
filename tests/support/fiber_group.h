// Light fibers for unit tests below the public API: spawn() starts one on the calling kernel
// thread, join() runs them all to their end.
#pragma once

#include <functional>
#include <utility>

#include "core/park.h"
#include "core/scheduler.h"
#include "core/stack.h"

namespace ramie::test {

class FiberGroup {
 public:
  FiberGroup() { core::attach(); }
  ~FiberGroup() { join(); }
  FiberGroup(const FiberGroup&) = delete;
  FiberGroup& operator=(const FiberGroup&) = delete;

  void spawn(std::function<void()> work) {
    ++alive_;
    core::Fiber* fiber = core::create_light_fiber(256UL * 1024, 0, nullptr);
    fiber->argument = new Job{std::move(work), this};
    core::start_light_fiber(*fiber, run);
    core::release(*fiber);  // the handle; its run holds the other reference
  }

  // Parks the caller until all have ended.
  void join() {
    while (alive_ > 0) {
      joiner_ = core::prepare_park();
      (void)core::park({core::WaitKind::join, 0});
    }
  }

  [[nodiscard]] int alive() const { return alive_; }

 private:
  struct Job {
    std::function<void()> work;
    FiberGroup* group;
  };

  static void run(core::Fiber& self) {
    auto* job = static_cast<Job*>(self.argument);
    job->work();
    FiberGroup* group = job->group;
    delete job;
    if (--group->alive_ == 0 && group->joiner_.fiber != nullptr) {
      (void)core::unpark(group->joiner_);
    }
    core::exit_current(
        {[](void* fiber) { core::end_run(*static_cast<core::Fiber*>(fiber)); }, &self});
  }

  int alive_ = 0;
  core::Ticket joiner_;
};

// Lets others run until `condition` holds, for a minute at most.
template <class Condition>
bool eventually(Condition condition) {
  for (base::Deadline end = base::Deadline::after(base::now(), 60 * base::kNanosPerSecond);
       !end.passed(base::now());) {
    if (condition()) {
      return true;
    }
    (void)core::sleep_until(base::Deadline::after(base::now(), 1'000'000));
  }
  return condition();
}

inline base::Deadline in_millis(int64_t millis) {
  return base::Deadline::after(base::now(), millis * 1'000'000);
}

}  // namespace ramie::test

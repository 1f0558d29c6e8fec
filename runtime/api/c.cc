// <ramie.h>: the core for C.
#include <ramie.h>
#include <ramie/detail/abi.h>
#include <ramie/version.h>

#include <cerrno>

#include "base/deadline.h"

namespace {

using ramie::detail::control;
using ramie::detail::never;

// C has no way out of the middle of a function.
class Uninterrupted {
 public:
  Uninterrupted() : counts_(ramie::detail::forbid_interruptions()) {}
  ~Uninterrupted() {
    if (counts_) {
      ramie::detail::allow_interruptions();
    }
  }
  Uninterrupted(const Uninterrupted&) = delete;
  Uninterrupted& operator=(const Uninterrupted&) = delete;

 private:
  bool counts_;
};

// Lies at the top of the fiber's stack.
struct Task : ramie::detail::task_base {
  void (*function)(void*) = nullptr;
  void* argument = nullptr;
};

void run_task(ramie::detail::task_base* base, control* fiber) noexcept {
  auto* task = static_cast<Task*>(base);
  task->function(task->argument);
  (void)ramie::detail::finish(fiber, true);
}

control* inner(ramie_fiber* fiber) { return reinterpret_cast<control*>(fiber); }

int64_t deadline_after(int64_t nanoseconds) {
  return nanoseconds < 0 ? never
                         : ramie::base::Deadline::after(ramie::base::now(), nanoseconds).nanos;
}

int join_until(ramie_fiber* fiber, int64_t deadline) {
  Uninterrupted section;
  int error = ramie::detail::join(inner(fiber), deadline);
  if (error == 0) {
    ramie_detach(fiber);
  }
  return error;
}

}  // namespace

ramie_fiber* ramie_spawn(void (*function)(void*), void* argument) {
  return ramie_spawn_named(nullptr, 0, function, argument);
}

ramie_fiber* ramie_spawn_named(const char* name, size_t stack_size, void (*function)(void*),
                               void* argument) {
  void* memory = nullptr;
  control* fiber = ramie::detail::create(stack_size, sizeof(Task), &memory, name);
  if (fiber == nullptr) {
    errno = EAGAIN;
    return nullptr;
  }
  auto* task = new (memory) Task;
  task->run = run_task;
  task->destroy = [](ramie::detail::task_base*, control*) noexcept {};
  task->function = function;
  task->argument = argument;
  ramie::detail::start_anywhere(fiber, task);
  return reinterpret_cast<ramie_fiber*>(fiber);
}

int ramie_join(ramie_fiber* fiber) { return join_until(fiber, never); }

int ramie_join_for(ramie_fiber* fiber, int64_t nanoseconds) {
  return join_until(fiber, deadline_after(nanoseconds));
}

void ramie_detach(ramie_fiber* fiber) { ramie::detail::drop(inner(fiber)); }

uint64_t ramie_id(const ramie_fiber* fiber) {
  return ramie::detail::id_of(reinterpret_cast<const control*>(fiber));
}

uint64_t ramie_self() {
  const control* running = ramie::detail::running();
  return running == nullptr ? 0 : ramie::detail::id_of(running);
}

void ramie_yield() {
  Uninterrupted section;
  (void)ramie::detail::yield();
}

void ramie_sleep(int64_t nanoseconds) {
  Uninterrupted section;
  ramie::detail::sleep_until(deadline_after(nanoseconds));
}

int ramie_wait_fd(int fd, int events, int64_t nanoseconds) {
  Uninterrupted section;
  int happened =
      ramie::detail::wait_descriptor(fd, static_cast<short>(events), deadline_after(nanoseconds));
  if (happened < 0) {
    errno = -happened;
    return -1;
  }
  return happened;
}

void ramie_notify_close(int fd) { ramie::detail::forget_descriptor(fd); }

const char* ramie_version() { return ramie::version(); }

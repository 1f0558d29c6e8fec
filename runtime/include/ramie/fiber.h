// Fibers: spawn() runs a function as a green thread, whose handle waits for it and takes its
// result.
//
//     ramie::fiber<int> answer = ramie::spawn([] { ramie::sleep_for(1s); return 42; });
//     std::printf("%d\n", answer.get());
//
// There is no loop to start.  A fiber runs on the kernel thread that spawned it, whenever that
// thread waits in a function of Ramie (join, get, sleep_for, a ramie::mutex, io::wait, ...), and
// only one of them runs at a time: they take turns where they wait, nowhere else.  A thread that
// ends or computes without waiting leaves its fibers standing; those of the main thread end with
// the process.  A program that wants to use several processors says so by <ramie/carriers.h>.
#pragma once

#include <ramie/detail/cancel.h>
#include <ramie/detail/deadline.h>
#include <ramie/detail/task.h>
#include <ramie/hooks.h>
#include <ramie/link.h>
#include <ramie/spawn_site.h>

#include <cerrno>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <functional>
#include <stop_token>
#include <string_view>
#include <system_error>
#include <type_traits>
#include <utility>

namespace ramie {

// How a fiber is made.
struct fiber_attributes {
  const char* name = "";  // for messages and dumps; the first 15 bytes count
  // Bytes, rounded up to a power of two; guard page and a large closure are a part of it.
  // 0 means RAMIE_STACK_SIZE, 64 kB by default.
  std::size_t stack_size = 0;
  spawn_site site = {};  // see spawn_site.h
  bool stays = false;    // on the kernel thread that spawns it, whatever carriers.h says
};

template <class R>
class fiber;

namespace detail {
enum class first { spawner, spawned };  // which of the two goes on
template <first Who = first::spawner, class Delay, class F, class... Args>
auto spawn_at(Delay delay, const fiber_attributes& attributes, F&& f, Args&&... args);
}  // namespace detail

// The handle of a fiber that returns R.  Moves, doesn't copy, and isn't itself safe to be used by
// two threads at once.  Dropping it lets the fiber run on by itself (detaches it).
//
// If the fiber's function throws, get() throws that again.  An exception that nobody takes by get()
// is never silent: as soon as nobody can any more, one line on descriptor 2 names the fiber and
// what(), and the program goes on.
template <class R>
class [[nodiscard]] fiber {
 public:
  fiber() noexcept = default;
  fiber(fiber&& other) noexcept : control_(std::exchange(other.control_, nullptr)) {}
  fiber& operator=(fiber&& other) noexcept {
    if (this != &other) {
      detach();
      control_ = std::exchange(other.control_, nullptr);
    }
    return *this;
  }
  ~fiber() { detach(); }

  // True if this is the handle of a fiber, ended or not: until get(), detach() or a move.
  [[nodiscard]] bool joinable() const noexcept { return control_ != nullptr; }

  // Waits until the fiber's function has ended; may be repeated.  Switches fibers, or blocks a
  // kernel thread that runs none.  Throws std::system_error: invalid_argument without a fiber,
  // resource_deadlock_would_occur from the fiber itself.  Any thread.
  [[gnu::always_inline]] void join() const { (void)wait(detail::never); }

  // The same with a limit; false if that passed first.
  template <class Rep, class Period>
  [[nodiscard]] bool join_for(const std::chrono::duration<Rep, Period>& duration) const {
    return wait(detail::deadline_after(duration));
  }
  template <class Clock, class Duration>
  [[nodiscard]] bool join_until(const std::chrono::time_point<Clock, Duration>& time) const {
    return wait(detail::deadline_at(time));
  }

  // Waits as join() does, and then returns what the function returned, or throws what it threw. The
  // handle is empty afterwards.
  R get() {
    join();
    fiber last(std::move(*this));  // drops the task after its result was taken, by whatever way out
    if (last.task().exception) {
      std::rethrow_exception(std::exchange(last.task().exception, nullptr));
    }
    return last.task().value.take();
  }

  // Whether the function has begun to run, after the delay of spawn_after(); whether it has ended,
  // by returning, by an exception or by cancellation; and whether it has ended by returning.  False
  // for an empty handle.  They never switch.
  [[nodiscard]] bool started() const noexcept {
    return control_ != nullptr && more().has_started.load(std::memory_order_acquire);
  }
  [[nodiscard]] bool ready() const noexcept {
    return control_ != nullptr && more().links.is_closed();
  }
  [[nodiscard]] bool successful() const noexcept { return ready() && !task().exception; }

  // What the function threw, null if nothing or not yet.  Whoever asks and gets one has taken it.
  [[nodiscard]] std::exception_ptr exception() const noexcept {
    if (!ready() || !task().exception) {
      return nullptr;
    }
    more().is_observed.store(true, std::memory_order_release);
    return task().exception;
  }

  // Calls f at the end of the fiber, on the fiber, however that ends; at once, on the caller, if it
  // has ended.  f takes nothing, or a `const fiber_outcome<R>&`, and then an exception counts as
  // taken.  link_value() calls f(value), or f() for void, only if the function returned;
  // link_exception() calls f(std::exception_ptr) only if it threw.  f should not wait: that delays
  // who joins.  What f throws is reported on descriptor 2.  Throws std::system_error
  // (invalid_argument) for an empty handle.  Any thread.
  template <detail::link_function<R> F>
  ramie::link link(F f) const {
    return add_link<true>(std::move(f));
  }
  template <class F>
  ramie::link link_value(F f) const {
    return add_link<false>([f = std::move(f)](const fiber_outcome<R>& outcome) mutable {
      if (outcome.successful()) {
        outcome.pass_value_to(f);
      }
    });
  }
  template <class F>
  ramie::link link_exception(F f) const {
    return add_link<true>([f = std::move(f)](const fiber_outcome<R>& outcome) mutable {
      if (!outcome.successful()) {
        std::invoke(f, outcome.exception());
      }
    });
  }

  // For a function that takes a std::stop_token: its source; without a state for others, and for an
  // empty handle.  request_stop() is true if this call is the first.
  [[nodiscard]] std::stop_source get_stop_source() const noexcept {
    return control_ == nullptr || more().stored == nullptr ? std::stop_source(std::nostopstate)
                                                           : more().stored->stop;
  }
  bool request_stop() const noexcept { return get_stop_source().request_stop(); }

  // Makes the fiber's next wait in a function of Ramie, or the one it is in, throw
  // ramie::cancelled; one that has not started never runs, and get() throws that.  Once for each
  // call.  No effect on a fiber that has ended.  Never switches.  Any thread.  See cancel.h.
  void cancel() const noexcept {
    if (control_ != nullptr) {
      detail::cancel(control_);
    }
  }

  // Lets the fiber run on by itself.  No effect on an empty handle.
  void detach() noexcept {
    if (detail::control* control = std::exchange(control_, nullptr)) {
      detail::drop(control);
    }
  }

  // The number of the fiber, never used twice in a process; 0 without one.
  [[nodiscard]] std::uint64_t id() const noexcept {
    return control_ == nullptr ? 0 : detail::id_of(control_);
  }
  [[nodiscard]] std::string_view name() const noexcept {
    return control_ == nullptr ? std::string_view() : detail::name_of(control_);
  }
  // For wait_any() and its relatives (wait.h).  Not for an empty handle.
  [[nodiscard]] detail::wait_key key() const noexcept { return detail::key_of_end(control_); }

  // The fiber that spawned it; 0 if that was none, and without a fiber.
  [[nodiscard]] std::uint64_t parent() const noexcept {
    return control_ == nullptr ? 0 : detail::parent_of(control_);
  }

  // Where it was spawned, if that was said.
  [[nodiscard]] spawn_site site() const noexcept {
    return control_ == nullptr ? spawn_site() : more().site();
  }

 private:
  template <detail::first Who, class Delay, class F, class... Args>
  friend auto detail::spawn_at(Delay delay, const fiber_attributes& attributes, F&& f,
                               Args&&... args);
  friend class group;

  explicit fiber(detail::control* control) noexcept : control_(control) {}

  // Inline wherever it is used: a function that has switched fibers returns slowly, since the
  // processor takes it to return to who was called last.
  [[nodiscard, gnu::always_inline]] bool wait(std::int64_t deadline) const {
    int error = control_ == nullptr ? EINVAL : detail::join(control_, deadline);
    if (error != 0 && error != ETIMEDOUT) {
      throw std::system_error(error, std::generic_category(), "ramie::fiber::join");
    }
    return detail::wait_done(error == 0, deadline);
  }

  template <bool TakesException, class F>
  ramie::link add_link(F f) const {
    if (control_ == nullptr) {
      throw std::system_error(EINVAL, std::generic_category(), "ramie::fiber::link");
    }
    auto* node = new detail::link_call<R, F, TakesException>(std::move(f));
    node->retain();  // for the ramie::link
    if (!more().links.add(node)) {
      node->fire(task(), control_);
      node->release();
    }
    return ramie::link(node);
  }

  detail::task_result<R>& task() const noexcept {
    return static_cast<detail::task_result<R>&>(*detail::task_of(control_));
  }
  detail::extras& more() const noexcept { return task().more; }

  detail::control* control_ = nullptr;
};

namespace detail {

template <first Who, class Delay, class F, class... Args>
auto spawn_at(Delay delay, const fiber_attributes& attributes, F&& f, Args&&... args) {
  using R = typename spawned_result<std::decay_t<F>, std::decay_t<Args>...>::type;
  using task = detail::task<R, !std::is_empty_v<Delay>, std::decay_t<F>, std::decay_t<Args>...>;
  constexpr std::size_t most_alignment = 16;
  constexpr std::size_t fits_any_default = 8192;  // half of the least RAMIE_STACK_SIZE
  bool on_heap = alignof(task) > most_alignment ||
                 ((sizeof(task) > fits_any_default || attributes.stack_size != 0) &&
                  sizeof(task) > inline_limit(attributes.stack_size));
  void* memory = nullptr;
  control* control =
      create(attributes.stack_size, on_heap ? 0 : sizeof(task), &memory, attributes.name);
  if (control == nullptr) {
    throw std::system_error(EAGAIN, std::generic_category(), "ramie::spawn");
  }
  try {
    task_base* made = on_heap ? new task(true, attributes.site, delay, std::forward<F>(f),
                                         std::forward<Args>(args)...)
                              : new (memory) task(false, attributes.site, delay, std::forward<F>(f),
                                                  std::forward<Args>(args)...);
    call_hook(spawn_hook, control, attributes.site);
    if (Who == first::spawned) {
      start_now(control, made);
    } else if (attributes.stays) {
      start(control, made);
    } else {
      start_anywhere(control, made);
    }
  } catch (...) {
    release(control);
    throw;
  }
  return fiber<R>(control);
}

}  // namespace detail

// Runs f(args...) as a fiber, on copies of both as std::thread makes them (std::ref for
// references).  If f takes a std::stop_token before the arguments, it gets one, as by std::jthread.
// It starts when the caller next waits, or after use_carriers() (carriers.h) at any time; spawn()
// itself never switches.  Throws std::system_error (resource_unavailable_try_again) if there is no
// memory for a stack, and what copying throws. From any thread: the fiber stays on it, if
// use_carriers() does not say otherwise.
template <class F, class... Args>
auto spawn(const fiber_attributes& attributes, F&& f, Args&&... args) {
  return detail::spawn_at(detail::task_delay<false>(), attributes, std::forward<F>(f),
                          std::forward<Args>(args)...);
}

// The same with the attributes that fiber_attributes has by default.
template <class F, class... Args>
requires detail::spawnable<std::decay_t<F>, std::decay_t<Args>...>
auto spawn(F&& f, Args&&... args) {
  return detail::spawn_at(detail::task_delay<false>(), {}, std::forward<F>(f),
                          std::forward<Args>(args)...);
}

// The same, but it starts at once, in the caller's place, who goes on as soon as the fiber waits or
// ends: before anybody else does.  So a tree of fibers of which each spawns some and joins them has
// as many at a time as it is deep, and not as it is wide.  Switches fibers.  Under `ramie run` it
// is the same as spawn() for a caller that is a thread of the program's other than the first one.
template <class F, class... Args>
auto spawn_now(const fiber_attributes& attributes, F&& f, Args&&... args) {
  return detail::spawn_at<detail::first::spawned>(detail::task_delay<false>(), attributes,
                                                  std::forward<F>(f), std::forward<Args>(args)...);
}
template <class F, class... Args>
requires detail::spawnable<std::decay_t<F>, std::decay_t<Args>...>
auto spawn_now(F&& f, Args&&... args) {
  return detail::spawn_at<detail::first::spawned>(detail::task_delay<false>(), {},
                                                  std::forward<F>(f), std::forward<Args>(args)...);
}

// As spawn(), `delay` later.  Until then the fiber sleeps; cancel() ends that, and f never runs.
template <class Rep, class Period, class F, class... Args>
requires detail::spawnable<std::decay_t<F>, std::decay_t<Args>...>
auto spawn_after(const std::chrono::duration<Rep, Period>& delay, F&& f, Args&&... args) {
  return detail::spawn_at(detail::task_delay<true>{detail::deadline_after(delay)}, {},
                          std::forward<F>(f), std::forward<Args>(args)...);
}

// Cancels all fibers of a range, and then waits until each has ended: none runs any more.  What
// they throw stays with their handles.  Switches fibers.
template <class Fibers>
void kill_all(const Fibers& fibers) {
  for (const auto& one : fibers) {
    one.cancel();
  }
  for (const auto& one : fibers) {
    if (one.joinable()) {
      one.join();
    }
  }
}

// The same, but waits no longer than a limit; false if some had not ended by then.
template <class Rep, class Period, class Fibers>
[[nodiscard]] bool kill_all_for(const std::chrono::duration<Rep, Period>& duration,
                                const Fibers& fibers) {
  auto limit = std::chrono::steady_clock::now() + duration;
  for (const auto& one : fibers) {
    one.cancel();
  }
  bool ended = true;
  for (const auto& one : fibers) {
    ended = (!one.joinable() || one.join_until(limit)) && ended;
  }
  return ended;
}

// Lets the other ready fibers of this thread run first; sched_yield(2) on a thread without fibers.
inline void yield() {
  if (!detail::yield()) [[unlikely]] {
    detail::throw_interruption(detail::never);
  }
}

// Sleeps for a duration or until a point in time, and not less; signals don't shorten it.  Switches
// fibers; a kernel thread without fibers sleeps in the kernel.
template <class Rep, class Period>
void sleep_for(const std::chrono::duration<Rep, Period>& duration) {
  std::int64_t deadline = detail::deadline_after(duration);
  detail::wait_done(detail::sleep_until(deadline), deadline);
}
template <class Clock, class Duration>
void sleep_until(const std::chrono::time_point<Clock, Duration>& time) {
  std::int64_t deadline = detail::deadline_at(time);
  detail::wait_done(detail::sleep_until(deadline), deadline);
}

// The running fiber.  A kernel thread that runs no fiber has the number 0 and no name, and the main
// flow of a thread that has spawned fibers likewise.
namespace this_fiber {
[[nodiscard]] inline std::uint64_t id() noexcept {
  const detail::control* self = detail::running();
  return self == nullptr ? 0 : detail::id_of(self);
}
[[nodiscard]] inline std::string_view name() noexcept {
  const detail::control* self = detail::running();
  return self == nullptr ? std::string_view() : detail::name_of(self);
}
// The fiber that spawned it, 0 if that was none.
[[nodiscard]] inline std::uint64_t parent() noexcept {
  const detail::control* self = detail::running();
  return self == nullptr ? 0 : detail::parent_of(self);
}
// Where it was spawned, if that was said.
[[nodiscard]] inline spawn_site site() noexcept {
  const detail::task_base* task = detail::current_task();
  return task == nullptr || task->extras == nullptr ? spawn_site() : task->extras->site();
}
}  // namespace this_fiber

}  // namespace ramie
